"""An outage of Redis is a clear 503 in under 3 s, and an unexpected error a 500 without internals."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.services import services_of
from tests.support.processes import free_port

UNKNOWN = "job_" + "0" * 32
CALLS = [
    ("POST", "/api/v1/chat/async", {"message": "hello"}),
    ("POST", "/api/v1/chat/sync", {"message": "hello"}),
    ("POST", "/api/v1/tasks", {"kind": "chat", "message": "hello"}),
    ("GET", f"/api/v1/chat/jobs/{UNKNOWN}?wait=30", None),
    ("GET", f"/api/v1/tasks/{UNKNOWN}", None),
    ("GET", f"/api/v1/tasks?ids={UNKNOWN}", None),
    ("GET", "/api/v1/tasks", None),
    ("GET", f"/api/v1/tasks/{UNKNOWN}/result", None),
    ("POST", f"/api/v1/tasks/{UNKNOWN}/cancel", None),
    ("POST", f"/api/v1/tasks/{UNKNOWN}/retry", None),
    ("DELETE", f"/api/v1/tasks/{UNKNOWN}", None),
    ("GET", "/api/v1/queue/stats", None),
    ("GET", "/health", None),
    ("GET", "/health/ready", None),
]


@pytest.mark.slow
@pytest.mark.parametrize("redis_is", ["refusing", "silent"])
def test_an_outage_of_redis_is_503_in_under_3_seconds(make_api, silent_port, read_problem, redis_is):
    """All calls that need Redis are made simultaneously."""
    app = make_api(silent_port if redis_is == "silent" else free_port())

    def call(method, path, body):
        started = time.monotonic()
        response = app.test_client().open(path, method=method, json=body)
        return response, time.monotonic() - started

    with ThreadPoolExecutor(len(CALLS)) as pool:
        answers = list(pool.map(call, *zip(*CALLS, strict=True)))

    for response, took in answers:
        problem = read_problem(response, 503, "store_unavailable")
        assert took < 3
        assert problem["error"]["type"] == "server_error"
        assert int(response.headers["Retry-After"]) >= 1


def test_the_liveness_check_needs_no_redis(make_api, silent_port):
    """A load balancer must not kill a web process during an outage of Redis."""
    started = time.monotonic()
    response = make_api(silent_port).test_client().get("/health/live")

    assert (response.status_code, response.json) == (200, {"status": "ok"})
    assert time.monotonic() - started < 0.5


def test_a_redis_without_writes_is_not_ready(make_api, api_redis_port, api_app, read_problem):
    """It answers pings, but no request could be accepted."""
    client = services_of(api_app).store._client
    client.config_set("maxmemory", 1)
    try:
        response = api_app.test_client().get("/health/ready")
    finally:
        client.config_set("maxmemory", 0)

    read_problem(response, 503, "store_unavailable")


def test_jobs_can_be_cancelled_and_deleted_while_redis_is_full(api_app, submit_chat, fake_worker):
    """Both free memory, and a cancel ends a call that costs money."""
    job_ids = [submit_chat(), submit_chat()]
    fake_worker.claim(job_ids[0])
    client, api_client = services_of(api_app).store._client, api_app.test_client()
    client.config_set("maxmemory", 1)
    try:
        cancelled = [api_client.post(f"/api/v1/tasks/{job_id}/cancel") for job_id in job_ids]
        deleted = [api_client.delete(f"/api/v1/tasks/{job_id}") for job_id in job_ids]
        refused = api_client.post("/api/v1/chat/async", json={"message": "a"})
    finally:
        client.config_set("maxmemory", 0)

    assert [(reply.status_code, reply.json["status"]) for reply in cancelled] == [(200, "cancelled")] * 2
    assert [reply.status_code for reply in deleted] == [204, 204]
    assert (refused.status_code, refused.json["error"]["code"]) == (429, "queue_full")


@pytest.mark.parametrize("path", ["/api/v1/queue/stats", "/health", f"/api/v1/tasks?ids={UNKNOWN}"])
def test_an_unexpected_error_is_500_without_internals(api_app, monkeypatch, read_problem, path):
    """The body has no traceback and no exception text."""

    def explode(*_args):
        raise RuntimeError("the inner secret")

    monkeypatch.setattr(services_of(api_app).store, "run_all", explode)

    response = api_app.test_client().get(path)

    problem = read_problem(response, 500, "internal_error")
    assert problem["error"]["type"] == "server_error"
    assert "secret" not in response.text
    assert "RuntimeError" not in response.text
