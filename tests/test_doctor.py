"""`chatqueue doctor` names what is wrong with a set-up and its remedy, prints no secret, and changes nothing."""

import errno
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from cli.main import chatqueue
from guards.file_limit import TooFewFiles
from jobs.folders import PROJECT_ROOT
from jobs.kinds.chat import ChatTask
from jobs.settings import get_settings
from jobs.storage import keys
from jobs.version import VERSION
from local import preflight
from local.doctor import program
from local.errors import CannotStart
from tasks.submit import Submitter
from tests.support.answering_server import answering_server
from tests.support.launcher import environment
from tests.support.processes import free_port, running
from tests.support.redis_servers import valkey

SECRET = "hunter2"


@pytest.fixture
def doctor(monkeypatch, tmp_path):
    """Runs `chatqueue doctor` with these settings. Returns the problems, warnings and notes, and the exit code."""

    def run(**changes):
        for name, value in {**environment(tmp_path / "data"), **changes}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        done = CliRunner().invoke(chatqueue, ["doctor", "--json"])
        assert SECRET not in done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        findings = [json.loads(line) for line in done.stdout.splitlines()]
        by_level = {
            level: " | ".join(finding["message"] for finding in findings if finding["level"] == level)
            for level in ("problem", "warning", "note", "ok")
        }
        assert done.exit_code == (1 if by_level["problem"] else 0)
        return by_level

    yield run
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def unsafe_redis(tmp_path_factory):
    """A server that evicts and keeps no append-only file."""
    port = free_port()
    args = ("--port", str(port), "--maxmemory-policy", "allkeys-lru", "--requirepass", SECRET)
    with running(valkey(tmp_path_factory.mktemp("unsafe"), *args), ready="Ready to accept connections"):
        yield f"redis://:{SECRET}@127.0.0.1:{port}/0"


@pytest.fixture
def provider():
    with answering_server() as server:
        yield server


def test_a_good_set_up_has_no_problem(doctor, redis_url, redis_client, provider):
    """Otherwise nobody would believe it. A worker that has not been started yet is only a note."""
    provider.reply = (200, {"Content-Type": "application/json"}, b'{"data": []}')
    found = doctor(REDIS_URL=redis_url, OPENAI_BASE_URL=provider.url, OPENAI_API_KEY=SECRET)

    assert (found["problem"], found["warning"]) == ("", "")
    assert "no worker is alive" in found["note"]
    assert [call.key for call in provider.received] == [SECRET]


def test_before_the_first_start_nothing_is_wrong(doctor, tmp_path):
    """No server runs and no data folder exists yet. The doctor does not create it."""
    found = doctor()

    assert found["problem"] == ""
    assert "the embedded server does not run" in found["note"]
    assert "answers come from the offline stub" in found["note"]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"REDIS_URL": f"http://{SECRET}@h"}, "REDIS_URL: "),
        ({"REDIS_URL": f"redis://:{SECRET}@127.0.0.1:9/0"}, "does not answer (Connection refused): start it"),
        ({"REDIS_URL": f"redis://:{SECRET}@no-such-host.invalid/0"}, "does not answer (Name or service not known)"),
        ({"CHATQUEUE_MAX_QUEUE": "5"}, "did you mean CHATQUEUE_MAX_QUEUED?"),
        ({"OPENAI_APIKEY": SECRET, "CHATQUEUE_WEB_PROT": "1"}, "did you mean CHATQUEUE_WEB_PORT?"),
        ({"CHATQUEUE_HEARTBEAT_SECONDS": "14"}, "must be at most a third of CHATQUEUE_LEASE_SECONDS"),
        ({"CELERY_BROKER_URL": f"amqp://me:{SECRET}@127.0.0.1:9//"}, "broker at 127.0.0.1:9 cannot be reached"),
        (
            {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"},
            "cannot be reached (Connection refused): correct OPENAI_BASE_URL",
        ),
        ({"CHATQUEUE_FLOWER_PORT": "7", "CHATQUEUE_WEB_PORT": "7"}, "are both 7: change one"),
        ({"CHATQUEUE_WEB_HOST": "192.0.2.1"}, "change CHATQUEUE_WEB_PORT or CHATQUEUE_WEB_HOST"),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(doctor, settings, named):
    """Each of these would otherwise show itself only as a process that ends, or as a first job that fails."""
    assert named in doctor(**settings)["problem"]


@pytest.mark.parametrize(
    ("credentials", "database", "named"),
    [
        (f":{SECRET}@", "0", "rejects the user or password in REDIS_URL"),
        ("", "99", "has no database of the number in REDIS_URL"),
        (f"limited:{SECRET}@", "0", "the rights of the worker process (the command blmpop)"),
    ],
)
def test_a_redis_that_refuses_is_named_with_the_reason(doctor, redis_client, redis_url, credentials, database, named):
    """A wrong password, database or right: each has another remedy."""
    user = ("limited", "reset", "on", f">{SECRET}", "~*", "&*", "+@all", "-blmpop")
    redis_client.execute_command("ACL", "SETUSER", *user)
    url = redis_url.replace("://", f"://{credentials}").removesuffix("0") + database

    assert named in doctor(REDIS_URL=url)["problem"]


def test_a_redis_that_loses_jobs_is_named_with_the_settings_to_use(doctor, unsafe_redis):
    """Nothing fails until it is full or restarts, and then accepted jobs are gone."""
    problem = doctor(REDIS_URL=unsafe_redis)["problem"]

    assert "set maxmemory-policy noeviction" in problem
    assert "set appendonly yes" in problem


def test_a_redis_without_room_is_named(doctor, redis_client, redis_url):
    """Submits get 429 then."""
    redis_client.config_set("maxmemory", str(redis_client.info("memory")["used_memory"] + 100_000))
    try:
        assert "Redis is nearly full, so submits get 429: raise its maxmemory" in doctor(REDIS_URL=redis_url)["problem"]
    finally:
        redis_client.config_set("maxmemory", "0")


def test_a_clock_that_is_wrong_is_named_with_its_direction(doctor, redis_client, redis_url, monkeypatch):
    """Times of logs and of answers would not fit, and TLS and object stores refuse a wrong clock."""
    monkeypatch.setattr(time, "time", lambda now=time.time: now() - 60)

    assert "60 s behind that of Redis: synchronise both" in doctor(REDIS_URL=redis_url)["warning"]


@pytest.mark.parametrize(
    ("status", "level", "named"),
    [
        (401, "problem", "refuses the API key (status 401): correct OPENAI_API_KEY"),
        (403, "problem", "correct OPENAI_API_KEY"),
        (404, "problem", "OPENAI_BASE_URL usually ends in /v1"),
        (308, "problem", "set OPENAI_BASE_URL to the address it redirects to"),
        (503, "warning", "answers with status 503"),
    ],
)
def test_a_provider_that_refuses_is_named_with_the_setting(doctor, provider, status, level, named):
    """Without a look at the provider, the first job would show it, after the deploy."""
    provider.reply = (status, {"Location": "http://127.0.0.1:9/", "Content-Length": "0"}, b"")

    assert named in doctor(OPENAI_BASE_URL=provider.url, OPENAI_API_KEY=SECRET)[level]


@pytest.mark.parametrize(
    ("taken", "other"),
    [
        ("CHATQUEUE_WEB_PORT", "CHATQUEUE_EMBEDDED_REDIS_PORT"),
        ("CHATQUEUE_FLOWER_PORT", "CHATQUEUE_WEB_PORT"),
        ("CHATQUEUE_OFFLINE_MODEL_PORT", "CHATQUEUE_FLOWER_PORT"),
    ],
)
def test_a_port_of_another_program_is_named_also_if_it_answers_http(doctor, provider, taken, other):
    """Only our own process may be there: another program that answers 200 is still in the way."""
    provider.reply = (200, {"Content-Length": "0"}, b"")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {taken: provider.server_port, other: silent.getsockname()[1]}
        problem = doctor(**{name: str(port) for name, port in ports.items()})["problem"]

    for name, port in ports.items():
        assert f"port {port} on 127.0.0.1 is in use: stop the program that listens there, or set {name}" in problem


@pytest.fixture
def stored_job(store, settings):
    """The id of a queued chat."""
    submitter = Submitter(store, settings)
    job_id = submitter.submit(ChatTask(kind="chat", message="hello")).job_id
    submitter.close()
    return job_id


def test_jobs_without_a_worker_are_named(doctor, store, redis_url, stored_job):
    """They wait for ever, and nothing else is wrong."""
    assert "no worker is alive: start one with `chatqueue worker`" in doctor(REDIS_URL=redis_url)["problem"]


def test_records_and_workers_of_another_version_are_named(doctor, redis_client, redis_url, stored_job):
    """After a deploy that was not finished, or was taken back."""
    redis_client.hset(keys.job(stored_job), mapping={"kind": "of-tomorrow", "error_code": "no_capable_worker"})
    now_ms = int(time.time() * 1000)
    redis_client.zadd(keys.WORKERS, {"old:1": now_ms})
    redis_client.hset(keys.WORKER_STATUSES, "old:1", json.dumps({"version": "0.0.9", "takes_jobs": True}))
    found = doctor(REDIS_URL=redis_url)

    assert "1 of the newest 1 jobs were written by another version" in found["problem"]
    assert "1 jobs wait for a worker of another version" in found["problem"]
    assert f"worker old:1 has version 0.0.9, and this is {VERSION}" in found["warning"]


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (errno.ENOSPC, "is full (No space left on device): free some space, or set CHATQUEUE_DATA_DIR"),
        (errno.EROFS, "cannot write to"),
        (errno.EACCES, "give this user the right to, or set CHATQUEUE_DATA_DIR"),
    ],
)
def test_a_data_folder_that_cannot_be_written_is_named(doctor, monkeypatch, error, named):
    """Uploads and the embedded server need it."""

    def fail(_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "fsync", fail)
    assert named in doctor()["problem"]


def test_a_data_folder_below_a_file_is_named(doctor, tmp_path):
    """The folder cannot even be created."""
    (tmp_path / "file").touch()
    assert (
        f"cannot write to {tmp_path}/file (Not a directory)"
        in doctor(CHATQUEUE_DATA_DIR=f"{tmp_path}/file/data")["problem"]
    )


@pytest.mark.parametrize(("free", "level"), [(50 * 2**20, "problem"), (500 * 2**20, "warning")])
def test_a_disk_that_is_nearly_full_is_named(doctor, monkeypatch, free, level):
    """A full disk stops Redis from accepting writes."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))

    assert f"has only {free // 2**20} MiB left: free some" in doctor()[level]


def test_a_program_that_is_incomplete_is_named(doctor, monkeypatch, tmp_path):
    """Missing packages and programs, packages of others over ours, too few open files, secrets that all can read."""

    def fail(error):
        def run(*_):
            raise error

        return run

    secrets = tmp_path / "settings.env"
    secrets.write_text("")
    secrets.chmod(0o644)
    monkeypatch.setattr(preflight, "SECRETS_FILE", secrets)
    monkeypatch.setattr(program, "find_spec", lambda name: None if name == "lancedb" else name)
    monkeypatch.setattr(program, "find_binary", fail(CannotStart("no server here: set REDIS_URL")))
    monkeypatch.setattr(program, "IS_CHECKOUT", False)
    monkeypatch.setattr(program, "packages_distributions", lambda: {"tasks": ["chatqueue", "other-app"]})
    monkeypatch.setattr(program, "fitting", fail(TooFewFiles("the limit of open files is 20: raise it")))
    found = doctor()

    assert "lancedb not installed, so documents get 501: install chatqueue[documents]" in found["note"]
    assert "no server here: set REDIS_URL" in found["problem"]
    assert "other-app has a module tasks too" in found["problem"]
    assert "the limit of open files is 20: raise it" in found["problem"]
    assert f"run chmod 600 {secrets}" in found["warning"]


def test_a_python_that_is_too_old_is_named_in_one_line():
    """Its own error would be a traceback about syntax or a missing name."""
    code = "import sys, runpy; sys.version_info = (3, 9, 1); runpy.run_module('cli', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "chatqueue: needs Python 3.11 or newer, and this is 3.9: install it for another Python\n"
