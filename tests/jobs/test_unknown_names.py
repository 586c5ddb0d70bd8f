"""A misspelt setting is named, together with the one that was probably meant: otherwise its default would apply."""

import subprocess
import sys
from pathlib import Path

import pytest

from jobs.folders import PROJECT_ROOT
from jobs.settings import get_settings, setting_names
from jobs.settings.unknown_names import UnknownSettings, check_names
from local.config import load_settings
from local.errors import CannotStart

PROGRAMS = Path(sys.executable).parent


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CHATQUEUE_MAX_QUEUE", "CHATQUEUE_MAX_QUEUED"),
        ("CHATQUEUE_WEB_WORKER", "CHATQUEUE_WEB_WORKERS"),
        ("CHATQUEUE_WEB_PROT", "CHATQUEUE_WEB_PORT"),
        ("CHATQUEUE_REDIS_URL", "REDIS_URL"),
        ("CHATQUEUE_OPENAI_API_KEY", "OPENAI_API_KEY"),
        ("CHATQUEUE_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        ("CHATQUEUE_CELERY_BROKER_URL", "CELERY_BROKER_URL"),
        ("CHATQUEUE_SCRIPT_NAME", "SCRIPT_NAME"),
        ("chatqueue_max_queue", "CHATQUEUE_MAX_QUEUED"),
    ],
)
def test_a_misspelt_variable_is_refused_with_the_name_that_was_meant(name, meant):
    """Above all, `CHATQUEUE_REDIS_URL` would start an embedded server and take jobs into it."""
    with pytest.raises(UnknownSettings, match=f"{name} in the environment .* did you mean {meant}?") as refused:
        check_names({name: "canary"}, [], setting_names())
    assert "canary" not in str(refused.value)


def test_a_misspelt_line_of_a_file_is_refused(tmp_path):
    """A line is read by nobody else, so one that resembles a setting is a mistake. Others are left alone."""
    file = tmp_path / ".env.local"
    file.write_text("OPENAI_APIKEY=sk-canary\nCHATQUEUE_ABCXYZ=1\nCOMPOSE_PROJECT_NAME=a\nOPENAI_BASE_URL=http://a\n")

    with pytest.raises(UnknownSettings) as refused:
        check_names({}, [file, tmp_path / "none"], setting_names())
    assert str(refused.value) == (
        "CHATQUEUE_ABCXYZ in .env.local is not a setting; "
        "OPENAI_APIKEY in .env.local is not a setting: did you mean OPENAI_API_KEY?"
    )


def test_the_names_of_all_settings_and_foreign_variables_are_accepted(tmp_path):
    """Without our prefix a variable belongs to somebody else."""
    check_names({**dict.fromkeys(setting_names(), "1"), "OPENAI_APIKEY": "1", "PATH": "a"}, [], setting_names())
    check_names({"chatqueue_Max_Queued": "1", "redis_url": "a"}, [], setting_names())


def test_the_launcher_reports_a_misspelt_variable_in_one_line(monkeypatch):
    """The same check applies to the web process and the worker, which read the settings in the same way."""
    monkeypatch.setenv("CHATQUEUE_MAX_QUEUE", "5")
    get_settings.cache_clear()
    with pytest.raises(CannotStart, match="did you mean CHATQUEUE_MAX_QUEUED"):
        load_settings()
    get_settings.cache_clear()


COMMANDS = {
    "web": [str(PROGRAMS / "gunicorn"), "-c", "api/gunicorn_conf.py", "api:create_app()"],
    "worker": [str(PROGRAMS / "celery"), "-A", "tasks", "worker"],
    "Flower": [str(PROGRAMS / "celery"), "-A", "tasks", "flower"],
    "Redis": [sys.executable, "-m", "local.redis_server"],
    "offline model": [sys.executable, "-m", "local.offline_model"],
    "launcher": [sys.executable, "-m", "cli", "up"],
}


UNKNOWN = ("CHATQUEUE_WEB_PROT", "80", "did you mean CHATQUEUE_WEB_PORT?")
INVALID = ("CHATQUEUE_LEASE_SECONDS", "3", "CHATQUEUE_HEARTBEAT_SECONDS must be at most a third")


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "mistake"), [*((name, UNKNOWN) for name in COMMANDS), ("web", INVALID), ("worker", INVALID)]
)
def test_every_process_reports_a_mistake_in_one_line_and_does_not_end_with_0(monkeypatch, name, mistake):
    """A supervisor that restarts failed processes only must see it, and an operator must not search a traceback."""
    variable, value, line = mistake
    monkeypatch.setenv(variable, value)
    ended = subprocess.run(COMMANDS[name], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert ended.returncode == 1
    assert line in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
