"""The API as it is deployed: gunicorn with our configuration, over real sockets."""

import http.client
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest

from jobs.storage import transitions
from jobs.storage.keys import DEFAULT_QUEUE
from tests.support.processes import free_port, running
from tests.support.waiting import until

GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "-c", "api/gunicorn_conf.py", "api:create_app()"]
WAITERS = 100


class GunicornServer:
    def __init__(self, process, port):
        self.process = process
        self.port = port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def call(self, method, path, body=None, headers=None):
        with closing(self.connect()) as connection:
            request_headers = {"Content-Type": "application/json"} | (headers or {}) if body is not None else {}
            connection.request(
                method, path, body if isinstance(body, bytes | None) else json.dumps(body), request_headers
            )
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def wait_for_job(self, pool, job_id, count=5):
        """That many long polls, as soon as all are connected."""
        before = len(self.worker.net_connections())
        waits = [pool.submit(self.call, "GET", f"/api/v1/chat/jobs/{job_id}?wait=60") for _ in range(count)]
        until(lambda: len(self.worker.net_connections()) >= before + count)
        return waits

    def submit(self):
        return self.call("POST", "/api/v1/chat/async", {"message": "hello"})[1]["job_id"]

    @property
    def worker(self):
        (worker,) = psutil.Process(self.process.pid).children()
        return worker


@pytest.fixture
def grace_seconds():
    """How long the server waits for open requests when it is stopped."""
    return "0"


@pytest.fixture
def web(redis_client, redis_url, processes, grace_seconds):
    port = free_port()
    env = {
        "REDIS_URL": redis_url,
        "CHATQUEUE_WEB_PORT": str(port),
        "CHATQUEUE_WEB_WORKERS": "1",
        "CHATQUEUE_WEB_GRACE_SECONDS": grace_seconds,
    }
    with running(GUNICORN, ready="Booting worker", env=env) as process:
        web = GunicornServer(process, port)
        web.call("GET", "/health/live")
        yield web


def test_a_hundred_long_polls_are_held_cheaply_and_end_together(web, redis_client):
    """One process needs no Redis connection per wait and next to no CPU, and one cancel ends all waits."""
    job_id, other_id = web.submit(), web.submit()
    with ThreadPoolExecutor(WAITERS) as pool:
        waits = [pool.submit(web.call, "GET", f"/api/v1/chat/jobs/{job_id}?wait=60") for _ in range(WAITERS)]
        until(lambda: len(web.worker.net_connections()) > WAITERS)
        until(lambda: redis_client.pubsub_numsub(f"celery-task-meta-{job_id}")[0][1] == 1)
        cpu = sum(web.worker.cpu_times()[:2])
        web.call("GET", f"/api/v1/chat/jobs/{other_id}?wait=2")  # waits in the background
        cpu = sum(web.worker.cpu_times()[:2]) - cpu
        subscribers = [client for client in redis_client.client_list() if int(client["sub"]) > 0]
        started = time.monotonic()
        web.call("POST", f"/api/v1/tasks/{job_id}/cancel")
        answers = [wait.result(30) for wait in waits]
        took = time.monotonic() - started

    assert {(status, body["status"]) for status, body in answers} == {(200, "cancelled")}
    assert len(subscribers) == 1
    assert cpu < 0.5
    assert took < 3


def test_a_thousand_ids_fit_into_the_request_line(web):
    """gunicorn's default limit would reject a request line of 42 KB."""
    known = web.submit()
    ids = [known] + [f"job_{number:032x}" for number in range(999)]

    status, body = web.call("GET", "/api/v1/tasks?ids=" + ",".join(ids))

    assert status == 200
    assert [task["task_id"] for task in body["tasks"]] == [known]
    assert len(body["unknown"]) == 999


@pytest.mark.parametrize("grace_seconds", ["600"])
def test_a_stop_lets_open_requests_end(web, store, settings):
    """Within the grace period waits end as usual and new requests are answered. Connections without one are closed."""
    job_id = web.submit()
    with ExitStack() as cleanup:
        idle, unused = (cleanup.enter_context(closing(web.connect())) for _ in range(2))
        idle.request("GET", "/health/live")
        idle.getresponse().read()
        unused.connect()
        waits = web.wait_for_job(cleanup.enter_context(ThreadPoolExecutor()), job_id)
        web.process.send(signal.SIGTERM)
        web.worker.send_signal(signal.SIGTERM)  # a service manager may signal every process
        idle_was_closed = idle.sock.recv(1) == b""
        unused.request(
            "POST", "/api/v1/chat/async", json.dumps({"message": "hi"}), {"Content-Type": "application/json"}
        )
        late = unused.getresponse()
        store.run(transitions.cancel(job_id, DEFAULT_QUEUE, settings))
        answers = [wait.result(10) for wait in waits]

    assert idle_was_closed
    assert (late.status, late.headers["Connection"]) == (202, "close")
    assert {(status, body["status"]) for status, body in answers} == {(200, "cancelled")}
    assert web.process.wait(10) == 0


@pytest.mark.parametrize(
    ("grace_seconds", "numbers"), [("0.5", [signal.SIGTERM]), ("600", [signal.SIGTERM, signal.SIGINT])]
)
def test_the_end_of_the_grace_period_releases_long_polls_with_the_current_state(web, numbers):
    """A waiting client then gets its 202, not a broken connection. A second signal ends the period at once."""
    with ThreadPoolExecutor() as pool:
        waits = web.wait_for_job(pool, web.submit())
        for number in numbers:
            web.process.send(number)
        answers = [wait.result(10) for wait in waits]

    assert {status for status, _ in answers} == {202}
    assert web.process.wait(10) == 0


def test_a_body_over_the_limit_is_413_over_a_real_socket(web):
    """The client gets the problem, not a broken connection."""
    status, body = web.call("POST", "/api/v1/chat/async", b"x" * (3 * 1024 * 1024))

    assert (status, body["error"]["code"]) == (413, "body_too_large")


def test_the_log_contains_no_request(web):
    """No body, query or header is logged, whatever the outcome of the request."""
    web.call("POST", "/api/v1/chat/async", {"message": "canary-1"}, {"Idempotency-Key": "canary-2"})
    web.call("POST", "/api/v1/chat/sync?message=canary-3", {"message": ["canary-4"]})
    web.call("GET", "/api/v1/tasks?ids=canary-5")
    web.process.stop()

    assert "canary" not in web.process.output
    assert "Warning" not in web.process.output
