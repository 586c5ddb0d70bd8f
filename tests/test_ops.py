"""The alert rules and the dashboard use only series that /metrics has, and Prometheus accepts them."""

import json
import re
import shutil
import subprocess

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api import create_app
from api.services import services_of
from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings

ALERTS = PROJECT_ROOT / "ops" / "alerts.yaml"
DASHBOARD = PROJECT_ROOT / "ops" / "grafana.json"
RUNBOOK = PROJECT_ROOT / "docs" / "operations.md"
SERIES = re.compile(r"\bchatqueue_\w+")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}


@pytest.fixture(scope="module")
def metrics(redis_url):
    """What a web process without any job shows."""
    app = create_app(Settings(REDIS_URL=redis_url))
    yield app.test_client().get("/metrics").text
    services_of(app).close()


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: it is in Debian's package prometheus")
    return found


def alerts():
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda file: file.name)
def test_every_series_is_in_metrics(metrics, file):
    """A rule about a series that does not exist never fires."""
    families = list(text_string_to_metric_families(metrics))
    known = {family.name + suffix for family in families for suffix in SUFFIXES[family.type]}
    used = set(SERIES.findall(file.read_text()))

    assert used - known == set()
    assert len(used) > 8


def test_the_runbook_explains_every_alert_and_no_other():
    """Whoever is woken up finds what to do."""
    explained = re.findall(r"^\| `(Chatqueue\w+)` \|", RUNBOOK.read_text(), re.MULTILINE)
    assert explained == [rule["alert"] for rule in alerts()]


def test_every_panel_has_a_query_and_a_place_of_its_own():
    """Grafana draws panels with the same place on top of each other."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(places)
    assert all(panel["targets"] for panel in panels if panel["type"] != "row")


def test_prometheus_accepts_the_rules(promtool):
    """Its own parser reads every expression."""
    check = subprocess.run(
        [promtool, "check", "rules", ALERTS], capture_output=True, text=True, timeout=30, check=False
    )
    assert check.returncode == 0, check.stderr
    assert f"{len(alerts())} rules found" in check.stdout


def test_prometheus_accepts_every_query_of_the_dashboard(promtool, tmp_path):
    """As a rule that records the query, with an interval in place of Grafana's variable."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    rules = [{"record": f"panel:{i}", "expr": q.replace("$__rate_interval", "5m")} for i, q in enumerate(queries)]
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    check = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, timeout=30, check=False)
    assert check.returncode == 0, check.stderr + check.stdout


def test_prometheus_finds_no_fault_in_the_metrics(promtool, metrics):
    """Names, units, types and descriptions as its conventions want them."""
    check = subprocess.run(
        [promtool, "check", "metrics"], input=metrics, capture_output=True, text=True, timeout=30, check=False
    )
    assert check.returncode == 0, check.stderr
