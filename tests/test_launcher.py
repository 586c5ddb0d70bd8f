"""`make up` says in one line why it cannot start, and shows no secret; what it starts is the Procfile's."""

import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest

from jobs.settings import PROJECT_ROOT, Settings
from local import launcher
from local.errors import CannotStart
from local.preflight import redis_address
from local.procfile import Entry, parse_procfile
from tests.support.launcher import COMMAND, PORTS, environment
from tests.support.processes import free_port


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path / "data")


def startup_error(monkeypatch, env, **changes):
    """The one line with which the launcher refuses to start."""
    for name, value in {**env, **changes}.items():
        monkeypatch.setenv(name, value)
    completed = subprocess.run(COMMAND, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=20, check=False)

    assert completed.returncode == 1
    assert completed.stdout == ""
    assert completed.stderr.count("\n") == 1, completed.stderr
    return completed.stderr


@contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("setting", PORTS)
def test_a_port_in_use_is_named_with_the_setting_that_changes_it(monkeypatch, env, setting):
    with listening() as port:
        line = startup_error(monkeypatch, env, **{setting: str(port)})

    assert f"port {port} " in line
    assert setting in line


def test_one_port_given_twice_is_named_with_both_settings(monkeypatch, env):
    line = startup_error(monkeypatch, env, CHATQUEUE_FLOWER_PORT=env["CHATQUEUE_WEB_PORT"])

    assert "CHATQUEUE_WEB_PORT" in line
    assert "CHATQUEUE_FLOWER_PORT" in line


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CHATQUEUE_WEB_PORT", "hunter2", "integer"),
        ("CHATQUEUE_LOG_LEVEL", "hunter2", "'INFO'"),
        ("CHATQUEUE_GRACE_SECONDS", "-1", "greater than 0"),
        ("CHATQUEUE_HEARTBEAT_SECONDS", "14", "a third of CHATQUEUE_LEASE_SECONDS"),
        ("REDIS_URL", "hunter2@somewhere", "redis://"),
        ("OPENAI_BASE_URL", "hunter2", "http://"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_allowed_and_without_its_value(monkeypatch, env, name, value, allowed):
    line = startup_error(monkeypatch, env, **{name: value})

    assert name in line
    assert allowed in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:{port}/0",
        "redis://me:hunter2@127.0.0.1:{port}",
        "rediss://:hunter2@127.0.0.1:{port}",
    ],
)
def test_a_redis_that_refuses_is_named_without_its_password(monkeypatch, env, url):
    port = free_port()
    line = startup_error(monkeypatch, env, REDIS_URL=url.format(port=port))

    assert f"Redis at 127.0.0.1:{port} " in line
    assert "Connection refused" in line
    assert "hunter2" not in line


def test_a_redis_that_accepts_and_stays_silent_is_given_up_after_three_seconds(monkeypatch, env):
    with listening() as port:
        start = time.monotonic()
        line = startup_error(monkeypatch, env, REDIS_URL=f"redis://:hunter2@127.0.0.1:{port}/0")
        seconds = time.monotonic() - start

    assert "does not answer within 3 s" in line
    assert "hunter2" not in line
    assert seconds < 5  # the start of Python included


@pytest.mark.parametrize("character", list("#/?@:"))
def test_a_password_with_a_sign_that_cuts_the_url_is_not_shown(monkeypatch, env, character):
    line = startup_error(monkeypatch, env, REDIS_URL=f"redis://:12345{character}hunter2@127.0.0.1:1")

    assert "12345" not in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:pw@cache.internal:7000/3", "cache.internal:7000"),
        ("redis://[::1]:7000", "[::1]:7000"),
        ("sentinel://:pw@a:1,b:2/0?master=m", "a:1,b:2"),
        ("unix:///run/redis.sock?password=pw", "/run/redis.sock"),
        ("redis://:pw", "an address that cannot be read"),
    ],
)
def test_an_address_is_shown_as_host_and_port(url, shown):
    assert redis_address(Settings(REDIS_URL=url)) == shown


def test_a_procfile_is_read_in_order_without_comments():
    text = "# first\n\nredis: python -m a --b='c: d'\n  web:gunicorn x\n"

    assert parse_procfile(text) == [Entry("redis", "python -m a --b='c: d'"), Entry("web", "gunicorn x")]


@pytest.mark.parametrize(("text", "line"), [("a: x\nnonsense\n", 2), ("a:\n", 1), ("a: x\n\na: y\n", 3)])
def test_a_bad_line_of_a_procfile_is_told_by_its_number(text, line):
    with pytest.raises(CannotStart, match=f"line {line}"):
        parse_procfile(text)


def test_the_committed_env_file_sets_nothing_and_tells_the_true_defaults():
    lines = (PROJECT_ROOT / ".env").read_text().splitlines()
    documented = dict(re.findall(r"^# CHATQUEUE_(\w+)=(.*)$", "\n".join(lines), re.MULTILINE))
    defaults = {name: Settings.model_fields[name.lower()].default for name in documented}

    assert all(not line or line.startswith("#") for line in lines)
    assert documented == {name: str(default) for name, default in defaults.items()}


def test_the_pinned_requirements_name_no_registry_and_agree():
    texts = [(PROJECT_ROOT / name).read_text() for name in ("requirements.txt", "requirements-dev.txt")]
    runtime, development = (set(re.findall(r"^\S+==\S+", text, re.MULTILINE)) for text in texts)

    assert not any("://" in text or "--index" in text or "--find-links" in text for text in texts)
    assert runtime < development


def test_a_process_that_is_not_ready_in_time_stops_all(monkeypatch, capsys, env):
    monkeypatch.setattr(launcher, "READY_SECONDS", 0.3)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    settings = Settings(offline_model_port=env["CHATQUEUE_OFFLINE_MODEL_PORT"])

    assert launcher.Launcher([Entry("model", "sleep 60")], settings).run() == 1
    assert "model was not ready within 0 s" in capsys.readouterr().out
