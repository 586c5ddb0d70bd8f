"""`make up` reports in one line why it cannot start, without secrets, and starts the processes of the Procfile."""

import re
import signal
import socket
import subprocess
import time
from contextlib import contextmanager

import pytest

from jobs.folders import PROJECT_ROOT
from jobs.settings import Settings
from local import launcher, preflight
from local.errors import CannotStart
from local.preflight import redis_address
from local.procfile import Entry, parse_procfile
from local.restarts import Restarts
from tests.support.launcher import COMMAND, PORTS, environment
from tests.support.processes import free_port

pytestmark = pytest.mark.slow


@pytest.fixture
def env(tmp_path):
    return environment(tmp_path / "data")


def startup_error(monkeypatch, env, **changes):
    """The line that the launcher prints when it cannot start. Asserts that it is the only one."""
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
    """A port conflict is the most common failure of a first start: the message must say how to resolve it."""
    with listening() as port:
        line = startup_error(monkeypatch, env, **{setting: str(port)})

    assert f"port {port} " in line
    assert setting in line


def test_a_port_used_twice_is_named_with_both_settings(monkeypatch, env):
    """Neither port is in use yet, so only a comparison of the settings can find the conflict."""
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
        ("REDIS_URL", "redis://h/hunter2", "must be a number"),
        ("OPENAI_BASE_URL", "hunter2", "http://"),
    ],
)
def test_an_invalid_setting_is_named_with_the_rule_and_without_its_value(monkeypatch, env, name, value, allowed):
    """A value may be a secret that was put into the wrong variable, so the message never contains it."""
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
def test_a_redis_that_refuses_connections_is_named_without_its_password(monkeypatch, env, url):
    """The message names host, port and cause; the password of REDIS_URL must not reach a terminal or a CI log."""
    port = free_port()
    line = startup_error(monkeypatch, env, REDIS_URL=url.format(port=port))

    assert f"Redis at 127.0.0.1:{port} " in line
    assert "Connection refused" in line
    assert "hunter2" not in line


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ("-blmpop", "the rights of the worker process (the command blmpop)"),
        ("-@scripting", "refuses the command eval"),
        ("resetchannels", "the command publish on the channels cq:*"),
    ],
)
def test_a_redis_user_without_a_right_is_refused_with_the_name_of_the_right(
    monkeypatch, env, redis_client, redis_url, rules, named
):
    """Otherwise the web process is ready, and the worker ends in the middle of the start."""
    redis_client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">hunter2", "~*", "&*", "+@all", rules)
    line = startup_error(monkeypatch, env, REDIS_URL=redis_url.replace("://", "://limited:hunter2@"))

    assert named in line
    assert "docs/operations.md#rights" in line
    assert "hunter2" not in line


def test_a_database_that_redis_lacks_and_a_replica_are_named(monkeypatch, env, redis_client, redis_url):
    """It answers PING in both cases, and no job could be accepted."""
    assert "has no database of the number" in startup_error(monkeypatch, env, REDIS_URL=redis_url.replace("/0", "/99"))

    redis_client.replicaof("127.0.0.1", "1")
    try:
        assert "use the address of its primary" in startup_error(monkeypatch, env, REDIS_URL=redis_url)
    finally:
        redis_client.replicaof("NO", "ONE")


def test_the_launcher_gives_up_on_a_silent_redis_after_three_seconds(monkeypatch, env):
    """A server that accepts connections and never answers must not make the launcher hang."""
    with listening() as port:
        start = time.monotonic()
        line = startup_error(monkeypatch, env, REDIS_URL=f"redis://:hunter2@127.0.0.1:{port}/0")
        seconds = time.monotonic() - start

    assert "does not answer within 3 s" in line
    assert "hunter2" not in line
    assert seconds < 5  # includes the start of Python


@pytest.mark.parametrize("character", list("#/?@:"))
def test_a_password_that_breaks_the_url_is_not_printed(monkeypatch, env, character):
    """An unescaped character moves part of the password into the host or the path, which messages contain."""
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
        ("redis://:pw", "an unreadable address"),
    ],
)
def test_an_address_is_printed_without_its_credentials(url, shown):
    """Host and port, or the path of a socket, are printed for every kind of URL."""
    assert redis_address(Settings(REDIS_URL=url)) == shown


def test_a_procfile_is_read_in_order_without_comments():
    """The order is the order of starting, so it must be that of the file."""
    text = "# first\n\nredis: python -m a --b='c: d'\n  web:gunicorn x\n"

    assert parse_procfile(text) == [Entry("redis", "python -m a --b='c: d'"), Entry("web", "gunicorn x")]


@pytest.mark.parametrize(("text", "line"), [("a: x\nnonsense\n", 2), ("a:\n", 1), ("a: x\n\na: y\n", 3)])
def test_an_invalid_line_of_a_procfile_is_named_by_its_number(text, line):
    """A line without a command, without a colon or with a duplicate name is an error, never skipped."""
    with pytest.raises(CannotStart, match=f"line {line}"):
        parse_procfile(text)


def test_the_committed_env_file_sets_nothing_and_documents_the_true_defaults():
    """The committed .env only documents: a value set there would override a default without being noticed."""
    lines = (PROJECT_ROOT / ".env").read_text().splitlines()
    documented = dict(re.findall(r"^# CHATQUEUE_(\w+)=(.*)$", "\n".join(lines), re.MULTILINE))
    defaults = {name: Settings.model_fields[name.lower()].default for name in documented}

    assert all(not line or line.startswith("#") for line in lines)
    examples = {name: documented[name] for name, default in defaults.items() if default is None}
    assert documented == {name: str(default) for name, default in defaults.items()} | examples


def test_the_pinned_requirements_name_no_registry_and_agree():
    """They must install from any index, and tests must run with the versions that production uses."""
    texts = [(PROJECT_ROOT / name).read_text() for name in ("requirements.txt", "requirements-dev.txt")]
    runtime, development = (set(re.findall(r"^\S+==\S+", text, re.MULTILINE)) for text in texts)

    assert not any("://" in text or "--index" in text or "--find-links" in text for text in texts)
    assert runtime < development


def test_a_process_that_is_not_ready_in_time_stops_all(monkeypatch, capsys, env):
    """A process that never becomes ready ends the launcher with exit code 1 instead of hanging."""
    monkeypatch.setattr(launcher, "READY_SECONDS", 0.3)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    settings = Settings(offline_model_port=env["CHATQUEUE_OFFLINE_MODEL_PORT"])

    assert launcher.Launcher([Entry("model", "sleep 60")], settings).run() == 1
    assert "model was not ready within 0 s" in capsys.readouterr().out


def test_a_process_that_keeps_ending_waits_longer_each_time():
    """A worker that cannot start must not fill the log; one that ran for a while is started again at once."""
    entry, restarts, now = Entry("worker", "x"), Restarts(), 100.0

    waits = [restarts.add(entry, now, now + 1) for _ in range(7)]
    assert waits == [1, 2, 5, 10, 30, 30, 30]
    assert restarts.add(entry, now, now + 61) == 1


def test_a_process_is_started_once_when_its_wait_is_over():
    """Not before, and not twice."""
    entry, restarts = Entry("worker", "x"), Restarts()
    restarts.add(entry, started_at=0.0, now=100.0)

    assert [restarts.due(now) for now in (100.5, 101.0, 101.5)] == [[], [entry], []]


def test_a_file_of_secrets_that_others_can_read_is_named(monkeypatch, tmp_path):
    """The provider's key is in it, and an editor creates it open to all."""
    path = tmp_path / ".env.local"
    path.write_text("OPENAI_API_KEY=sk-canary\n")
    path.chmod(0o644)
    monkeypatch.setattr(preflight, "SECRETS_FILE", path)
    with pytest.raises(CannotStart, match=f"chmod 600 {path}"):
        preflight.check_secrets()

    path.chmod(0o600)
    preflight.check_secrets()
