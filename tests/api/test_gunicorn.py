"""The API as it is deployed: gunicorn with our configuration, over real sockets."""

import http.client
import json
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.support.processes import free_port, running
from tests.support.waiting import until

GUNICORN = [str(Path(sys.executable).with_name("gunicorn")), "-c", "api/gunicorn_conf.py", "api:create_app()"]
WAITERS = 100


class GunicornServer:
    def __init__(self, process, port):
        self.process = process
        self.port = port

    def call(self, method, path, body=None, headers=None):
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            request_headers = {"Content-Type": "application/json"} | (headers or {}) if body is not None else {}
            connection.request(
                method, path, body if isinstance(body, bytes | None) else json.dumps(body), request_headers
            )
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")

    def submit(self):
        return self.call("POST", "/api/v1/chat/async", {"message": "hello"})[1]["job_id"]

    @property
    def worker(self):
        (worker,) = psutil.Process(self.process.pid).children()
        return worker


@pytest.fixture
def web(redis_client, redis_url, processes):
    port = free_port()
    env = {"REDIS_URL": redis_url, "CHATQUEUE_WEB_PORT": str(port), "CHATQUEUE_WEB_WORKERS": "1"}
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
        until(lambda: redis_client.pubsub_numsub(f"cq:changed:{job_id}")[0][1] == 1)
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


def test_a_shutdown_releases_long_polls_with_the_current_state(web):
    """On SIGTERM a waiting client gets its 202 immediately, not a broken connection."""
    job_id = web.submit()
    with ThreadPoolExecutor() as pool:
        waits = [pool.submit(web.call, "GET", f"/api/v1/chat/jobs/{job_id}?wait=60") for _ in range(5)]
        until(lambda: len(web.worker.net_connections()) > 5)
        started = time.monotonic()
        web.process.send(signal.SIGTERM)
        answers = [wait.result(10) for wait in waits]

    assert {status for status, _ in answers} == {202}
    assert web.process.wait(10) == 0
    assert time.monotonic() - started < 6


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
