"""Keys over real processes: a revocation is effective in all of them, and no process listens openly by accident."""

import http.client
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from jobs.settings import Settings
from jobs.settings.access import open_to_network
from tests.api.access.conftest import ADMIN_KEY
from tests.support.http import call
from tests.support.processes import PROJECT_ROOT, free_port, running
from tests.support.waiting import until

GUNICORN = [sys.executable, "-m", "gunicorn", "-c", "api/gunicorn_conf.py", "api:create_app()"]
REVOKED_WITHIN_SECONDS = 2.0
MARGIN_SECONDS = 3.0  # of a busy machine; a stream that nobody ended would last longer
PROCESSES = 4


@pytest.fixture
def web(redis_client, redis_url, processes):
    """The URL of four web processes."""
    port = free_port()
    env = {"REDIS_URL": redis_url, "CHATQUEUE_WEB_PORT": str(port), "CHATQUEUE_WEB_WORKERS": str(PROCESSES),
           "CHATQUEUE_ADMIN_KEY": ADMIN_KEY}  # fmt: skip
    with running(GUNICORN, ready="Listening at", env=env) as process:
        until(lambda: process.output.count("Booting worker") == PROCESSES)
        url = f"http://127.0.0.1:{port}"
        until(lambda: call(f"{url}/health/live").status == 200)
        yield url


def send(url, key, path, body=None, method=None):
    return call(f"{url}/api/v1{path}", body, method, Authorization=f"Bearer {key}")


def test_a_revoked_key_is_refused_everywhere_within_two_seconds(web):
    """On four processes, in an open stream and in a long poll; the job goes on."""
    made = send(web, ADMIN_KEY, "/keys", {}).json
    key = made["value"]
    job = send(web, key, "/chat/async", {"message": "hi"}).json["job_id"]
    started = threading.Event()

    def follow():
        with closing(http.client.HTTPConnection(web.removeprefix("http://"), timeout=30)) as connection:
            headers = {"Authorization": f"Bearer {key}"}
            connection.request("GET", f"/api/v1/chat/jobs/{job}/events", headers=headers)
            response = connection.getresponse()
            started.set()
            response.read()
            return time.monotonic()

    def poll():
        assert send(web, key, f"/chat/jobs/{job}?wait=30").status == 401
        return time.monotonic()

    def ask_until_refused():  # each time over a new connection, so that all processes are asked
        while send(web, key, "/tasks").status == 200:
            pass
        return time.monotonic()

    with ThreadPoolExecutor(10) as pool:
        waits = [pool.submit(follow), pool.submit(poll)]
        assert started.wait(20)
        waits += [pool.submit(ask_until_refused) for _ in range(8)]
        revoked_at = time.monotonic()
        send(web, ADMIN_KEY, f"/keys/{made['key_id']}", method="DELETE")
        latest = max(wait.result(20) for wait in waits) - revoked_at

    assert latest < REVOKED_WITHIN_SECONDS + MARGIN_SECONDS
    assert send(web, ADMIN_KEY, f"/tasks/{job}").json["status"] == "queued"


@pytest.mark.parametrize(
    ("host", "more", "is_refused"),
    [("127.0.0.1", {}, False), ("127.8.8.8", {}, False), ("::1", {}, False), ("localhost", {}, False),
     ("0.0.0.0", {}, True), ("::", {}, True), ("192.168.1.2", {}, True), ("my-host", {}, True), ("", {}, True),
     ("0.0.0.0", {"admin_key": ADMIN_KEY}, False), ("0.0.0.0", {"is_open": True}, False)],
)  # fmt: skip
def test_without_keys_only_this_machine_is_served(host, more, is_refused):
    """Unless the settings say that everybody may see all jobs."""
    assert (open_to_network(host, Settings(**more)) is not None) is is_refused


@pytest.mark.parametrize("options", [{"CHATQUEUE_WEB_HOST": "0.0.0.0"}, {"GUNICORN_CMD_ARGS": "--bind 0.0.0.0:0"}])
def test_gunicorn_does_not_listen_openly_by_accident(options, processes, monkeypatch):
    """Neither by the setting nor by gunicorn's own option: exit code 1, and one line that names the remedy."""
    for name, value in options.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CHATQUEUE_WEB_PORT", str(free_port()))
    ended = subprocess.run(GUNICORN, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 1
    lines = [line for line in (ended.stdout + ended.stderr).splitlines() if "CHATQUEUE_ADMIN_KEY" in line]
    assert len(lines) == 1, ended
    assert "Listening" not in ended.stderr
