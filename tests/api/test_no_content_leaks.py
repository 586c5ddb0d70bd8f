"""No prompt, answer, key or body is in any log record, whatever happens to the request."""

import logging
from typing import Any

import pytest

from api.services import services_of
from jobs.kinds.chat import ChatAnswer
from jobs.tenant_store import default_store

CANARY = "canary-7f3a9"


@pytest.fixture
def logged(caplog):
    """The full text of all log records so far, with arguments, extras and tracebacks."""
    caplog.set_level(logging.DEBUG)

    def read():
        plain = logging.Formatter()
        return "\n".join(f"{plain.format(record)} {vars(record)}" for record in caplog.records)

    return read


REQUESTS: dict[str, dict[str, Any]] = {
    "good": {"json": {"message": CANARY, "system": CANARY, "metadata": {"a": CANARY}}},
    "unknown field": {"json": {"message": CANARY, CANARY: CANARY}},
    "wrong type": {"json": {"message": [CANARY]}},
    "wrong role": {"json": {"message": "a", "history": [{"role": CANARY, "content": CANARY}]}},
    "malformed": {"data": f'{{"message": "{CANARY}', "content_type": "application/json"},
    "wrong content type": {"data": CANARY, "content_type": "text/plain"},
    "query": {"json": {"message": "a"}, "query_string": {CANARY: CANARY}},
    "bad key": {"json": {"message": CANARY}, "headers": {"Idempotency-Key": f"{CANARY} {CANARY}"}},
    "good key": {"json": {"message": CANARY}, "headers": {"Idempotency-Key": CANARY}},
}


@pytest.mark.parametrize("path", ["/api/v1/chat/async", "/api/v1/chat/sync"])
@pytest.mark.parametrize("name", REQUESTS)
def test_no_request_content_is_logged(api_client, logged, path, name):
    """Each kind of valid or invalid request leaves no trace of its content in the log."""
    api_client.post(path, **REQUESTS[name])

    assert CANARY not in logged()


@pytest.mark.parametrize("path", ["/api/v1/chat/async", "/api/v1/chat/sync", "/api/v1/tasks"])
def test_a_crash_logs_its_place_and_no_content(api_app, logged, monkeypatch, path):
    """Even an exception whose own message repeats the request is logged without it."""

    def explode(commands):
        raise RuntimeError(f"{CANARY} in {commands}")

    monkeypatch.setattr(services_of(api_app).store, "run_all", explode)

    response = api_app.test_client().post(
        path, json={"message": CANARY} | ({"kind": "chat"} if path.endswith("tasks") else {})
    )

    assert response.status_code == 500
    assert CANARY not in response.text
    assert CANARY not in logged()
    assert "request_failed" in logged()
    assert response.headers["X-Request-Id"] in logged()
    assert "explode" in logged()


def test_an_outage_logs_no_request(make_api, silent_port, logged):
    """A Redis error must not carry the command's arguments into the log."""
    response = (
        make_api(silent_port, redis_timeout_seconds=0.1)
        .test_client()
        .post("/api/v1/chat/async", json={"message": CANARY}, headers={"Idempotency-Key": CANARY})
    )

    assert response.status_code == 503
    assert "request_rejected" in logged()
    assert CANARY not in logged()


def test_an_answer_is_served_and_not_logged(api_client, submit_chat, fake_worker, logged):
    """The answer reaches the client only."""
    job_id = submit_chat(CANARY)
    answer = ChatAnswer(text=CANARY, model=None, finish_reason="stop", usage=None)
    fake_worker.complete(job_id, answer)

    assert CANARY in api_client.get(f"/api/v1/chat/jobs/{job_id}").text
    assert CANARY in api_client.get(f"/api/v1/tasks/{job_id}/result").text
    assert CANARY not in logged()


def test_no_repr_shows_a_prompt_or_an_answer(submit_chat, fake_worker, api_services):
    """Tracebacks and test failures contain reprs."""
    from api.schemas.responses import ChatJob
    from api.schemas.tasks import Task, TaskResult
    from jobs import lookup

    job_id = submit_chat(CANARY)
    fake_worker.complete(job_id, ChatAnswer(text=CANARY, model=None, finish_reason=None, usage=None))
    view = lookup.view(default_store(api_services.store), job_id)

    models = [view, ChatJob.of(view), TaskResult.of(view), Task.of(view.record)]
    assert all(CANARY not in repr(model) for model in models)
