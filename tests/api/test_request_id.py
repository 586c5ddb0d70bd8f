"""A request is followed to its job: its id is in the response, in the log, in the record and in the worker's lease."""

import logging

import pytest

from jobs.models import Lease
from jobs.storage import keys

OWN = "my-id-77"
SUBMITS = {
    "/api/v1/chat/async": {"message": "hi"},
    "/api/v1/chat/sync": {"message": "hi"},
    "/api/v1/tasks": {"kind": "embeddings", "input": ["hi"]},
    "/v1/responses": {"input": "hi", "background": True},
}


@pytest.fixture
def logged(caplog):
    """The log lines so far."""
    caplog.set_level(logging.INFO)
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("path", SUBMITS)
def test_the_id_of_a_submit_leads_to_its_job(api_client, fake_worker, logged, path):
    """Response, log, record and lease name it, on every way to submit."""
    response = api_client.post(path, json=SUBMITS[path], headers={"X-Request-ID": OWN})
    (job_id,) = [task["task_id"] for task in api_client.get("/api/v1/tasks").json["tasks"]]

    assert response.headers["X-Request-Id"] == OWN
    assert any(line.startswith(f"job_accepted request_id={OWN} job_id={job_id} kind=") for line in logged())
    assert api_client.get(f"/api/v1/tasks/{job_id}").json["request_id"] == OWN
    assert fake_worker.claim(job_id).request_id == OWN


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/nowhere", "/health/live", "/openapi.json"])
def test_every_response_repeats_the_id_of_its_request(api_client, path):
    """Errors too: these are the ones that somebody looks for."""
    assert api_client.get(path, headers={"X-Request-ID": "a.B_c-9"}).headers["X-Request-Id"] == "a.B_c-9"


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "x" * 65,
        "two words",
        "a\ttab",
        "x job_accepted request_id=forged",
        "a=b",
        'quote"',
        "\x1b[31mred",
        "umlaut-ä",
        "-",
        ".hidden",
        "a,b",
    ],
)
def test_an_id_that_could_forge_a_log_line_is_replaced(api_client, logged, sent):
    """The id is logged by several processes. A request is not refused for it: a proxy may have set it."""
    response = api_client.post("/api/v1/chat/async", json={"message": "hi"}, environ_base={"HTTP_X_REQUEST_ID": sent})
    (line,) = [line for line in logged() if line.startswith("job_accepted")]

    assert response.status_code == 202
    assert response.headers["X-Request-Id"].startswith("req_")
    assert line.split()[1] == f"request_id={response.headers['X-Request-Id']}"


def test_a_repeated_submit_is_logged_with_its_own_id_and_the_first_ones_job(api_client, logged):
    """Two requests, one job: the record keeps the id of the request that created it."""
    submits = [
        api_client.post(
            "/api/v1/chat/async", json={"message": "hi"}, headers={"X-Request-ID": name, "Idempotency-Key": "k"}
        )
        for name in ("first", "second")
    ]
    job_id = submits[0].json["job_id"]

    assert f"job_found request_id=second job_id={job_id} kind=chat" in logged()
    assert api_client.get(f"/api/v1/tasks/{job_id}").json["request_id"] == "first"


def test_a_retried_job_has_the_id_of_the_request_that_retried_it(api_client, submit_chat, fake_worker):
    """The first request has ended; who retries looks for his own."""
    job_id = submit_chat()
    fake_worker.fail(job_id)
    retried = api_client.post(f"/api/v1/tasks/{job_id}/retry", headers={"X-Request-ID": OWN})

    assert retried.json["request_id"] == OWN


@pytest.mark.parametrize("stored", [b"two\nlines", b"\xff", b"x" * 1000, None])
def test_a_damaged_id_in_a_record_is_no_id(api_client, submit_chat, fake_worker, redis_client_of_api, stored):
    """Another program may have written the record, and a worker logs what it reads."""
    job_id = submit_chat()
    redis_client_of_api.hdel(keys.job(job_id), "request_id")
    if stored is not None:
        redis_client_of_api.hset(keys.job(job_id), "request_id", stored)

    assert api_client.get(f"/api/v1/tasks/{job_id}").json["request_id"] is None
    lease = fake_worker.claim(job_id)
    assert isinstance(lease, Lease)
    assert lease.request_id is None
