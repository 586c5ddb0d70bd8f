"""Chat over HTTP: accepted calls are readable immediately, waits end with the job, and outcomes are distinct."""

import threading
import time
from datetime import datetime

import pytest

from tests.api.conftest import ERROR

UNKNOWN = "job_" + "0" * 32


def test_an_accepted_chat_is_readable_immediately(api_client):
    """The first GET of the 202's Location finds the job with its queue position."""
    accepted = api_client.post("/api/v1/chat/async", json={"message": "hello"})
    read = api_client.get(accepted.headers["Location"])

    assert accepted.status_code == 202
    assert accepted.headers["Retry-After"] == "1"
    assert accepted.headers["Location"] == f"/api/v1/chat/jobs/{accepted.json['job_id']}"
    assert read.status_code == 202
    assert read.json == accepted.json
    assert read.json["status"] == "queued"
    assert read.json["queue_position"] == 0
    assert datetime.fromisoformat(read.json["created_at"]).utcoffset().total_seconds() == 0


def test_a_job_behind_others_has_a_queue_position(api_client, submit_chat):
    """queue_position counts the jobs that go first."""
    ids = [submit_chat() for _ in range(3)]

    assert [api_client.get(f"/api/v1/chat/jobs/{i}").json["queue_position"] for i in ids] == [0, 1, 2]


def test_a_final_chat_is_200_with_the_answer(api_client, submit_chat, fake_worker):
    """The answer, the model, the usage and the times are all set."""
    job_id = submit_chat()
    fake_worker.complete(job_id)

    response = api_client.get(f"/api/v1/chat/jobs/{job_id}")

    assert response.status_code == 200
    assert response.json["status"] == "completed"
    assert response.json["answer"] == "an answer"
    assert response.json["model"] == "model-x"
    assert response.json["finish_reason"] == "stop"
    assert response.json["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "estimated": False}
    assert response.json["attempts"] == 1
    assert response.json["finished_at"] >= response.json["started_at"] >= response.json["created_at"]


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        ("finish_incomplete", "incomplete", None),
        ("fail", "failed", ERROR.model_dump()),
    ],
)
def test_other_outcomes_are_200_and_differ_by_status(api_client, submit_chat, fake_worker, end, status, error):
    """A failed or incomplete job is not an HTTP error: its status and error show the outcome."""
    job_id = submit_chat()
    getattr(fake_worker, end)(job_id)

    response = api_client.get(f"/api/v1/chat/jobs/{job_id}")

    assert response.status_code == 200
    assert response.json["status"] == status
    assert response.json["error"] == error


def test_a_cancelled_chat_keeps_its_partial_text(api_client, submit_chat, fake_worker):
    """The text that was written before the cancellation can be fetched."""
    job_id = submit_chat()
    lease = fake_worker.claim(job_id)
    fake_worker.write(lease, lease.log_length, "half an ans")
    api_client.post(f"/api/v1/tasks/{job_id}/cancel")

    response = api_client.get(f"/api/v1/chat/jobs/{job_id}")

    assert response.status_code == 200
    assert (response.json["status"], response.json["answer"]) == ("cancelled", "half an ans")


def test_a_job_that_waits_for_its_next_attempt_shows_the_time(api_client, submit_chat, fake_worker):
    """next_attempt_at is set, and Retry-After is not earlier."""
    job_id = submit_chat()
    fake_worker.release_for_retry(job_id, 30)

    response = api_client.get(f"/api/v1/chat/jobs/{job_id}")

    assert response.status_code == 202
    assert response.json["next_attempt_at"] is not None
    assert 28 <= int(response.headers["Retry-After"]) <= 30


def test_a_wait_ends_when_the_job_becomes_final(api_client, submit_chat, fake_worker):
    """?wait=N returns within moments of the last write, although deltas were written before."""
    job_id = submit_chat()
    lease = fake_worker.claim(job_id)

    def work():
        fake_worker.write(lease, lease.log_length, "an ")
        fake_worker.store.run(_finish(fake_worker, lease))

    worker = threading.Timer(0.3, work)
    worker.start()
    started = time.monotonic()
    response = api_client.get(f"/api/v1/chat/jobs/{job_id}?wait=20")
    took = time.monotonic() - started
    worker.join()

    assert response.status_code == 200
    assert response.json["status"] == "completed"
    assert 0.25 < took < 2


def _finish(fake_worker, lease):
    from jobs.kinds.chat import ChatAnswer
    from jobs.states import State
    from jobs.storage import transitions

    answer = ChatAnswer(text="an answer", model=None, finish_reason="stop", usage=None)
    return transitions.finish(lease, answer, State.COMPLETED, fake_worker.settings)


def test_a_wait_that_times_out_is_202(api_client, submit_chat):
    """The job is not affected."""
    started = time.monotonic()
    response = api_client.get(f"/api/v1/chat/jobs/{submit_chat()}?wait=0.2")

    assert response.status_code == 202
    assert response.headers["Retry-After"] == "1"
    assert 0.2 <= time.monotonic() - started < 1.5


@pytest.mark.parametrize("prefer", ["wait=1", "respond-async, wait=1", 'wait="1"', "WAIT = 1 ; x=y"])
def test_prefer_wait_is_honoured(api_client, submit_chat, fake_worker, prefer):
    """Preference-Applied confirms it."""
    job_id = submit_chat()
    fake_worker.complete(job_id)

    response = api_client.get(f"/api/v1/chat/jobs/{job_id}", headers={"Prefer": prefer})

    assert response.headers["Preference-Applied"] == "wait=1"


def test_a_malformed_preference_is_ignored(api_client, submit_chat):
    """RFC 7240 requires it."""
    response = api_client.get(f"/api/v1/chat/jobs/{submit_chat()}", headers={"Prefer": "wait=soon"})

    assert response.status_code == 202
    assert "Preference-Applied" not in response.headers


def test_an_unchanged_job_is_304(api_client, submit_chat, fake_worker):
    """The ETag holds until something is written."""
    job_id = submit_chat()
    first = api_client.get(f"/api/v1/chat/jobs/{job_id}")
    same = api_client.get(f"/api/v1/chat/jobs/{job_id}", headers={"If-None-Match": first.headers["ETag"]})
    fake_worker.complete(job_id)
    after = api_client.get(f"/api/v1/chat/jobs/{job_id}", headers={"If-None-Match": first.headers["ETag"]})

    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert after.status_code == 200


def test_sync_returns_the_answer(make_api, api_app, api_redis_port, fake_worker):
    """One request returns 200 and the answer, through the same queue."""
    client = make_api(api_redis_port, sync_wait_seconds=10).test_client()
    worker = threading.Thread(target=_serve_next, args=(fake_worker, fake_worker.complete))
    worker.start()
    response = client.post("/api/v1/chat/sync", json={"message": "hello"})
    worker.join()

    assert response.status_code == 200
    assert (response.json["status"], response.json["answer"]) == ("completed", "an answer")


def test_sync_past_its_time_limit_is_202(api_client, fake_worker):
    """The job continues, and its answer is found at Location."""
    response = api_client.post("/api/v1/chat/sync", json={"message": "hello"})
    fake_worker.complete(response.json["job_id"])

    assert response.status_code == 202
    assert response.headers["Retry-After"] == "1"
    assert api_client.get(response.headers["Location"]).json["answer"] == "an answer"


def test_sync_of_a_failed_job_is_502_with_its_code(make_api, api_app, api_redis_port, fake_worker, read_problem):
    """The problem has the job's id and code, and clients should not retry."""
    client = make_api(api_redis_port, sync_wait_seconds=10).test_client()
    worker = threading.Thread(target=_serve_next, args=(fake_worker, fake_worker.fail))
    worker.start()
    response = client.post("/api/v1/chat/sync", json={"message": "hello"})
    worker.join()

    problem = read_problem(response, 502, "provider_timeout")
    assert problem["error"]["type"] == "server_error"
    assert client.get(f"/api/v1/chat/jobs/{problem['job_id']}").json["status"] == "failed"
    assert response.headers["x-should-retry"] == "false"


def test_sync_of_a_cancelled_job_is_200(make_api, api_app, api_redis_port, fake_worker):
    """Never 409: the openai client would retry it."""
    app = make_api(api_redis_port, sync_wait_seconds=10)
    other = app.test_client()
    worker = threading.Thread(
        target=_serve_next, args=(fake_worker, lambda job_id: other.post(f"/api/v1/tasks/{job_id}/cancel"))
    )
    worker.start()
    response = app.test_client().post("/api/v1/chat/sync", json={"message": "hello"})
    worker.join()

    assert response.status_code == 200
    assert (response.json["status"], response.json["answer"]) == ("cancelled", None)


def _serve_next(fake_worker, move):
    """Wait for a job to be queued, then move it."""
    from jobs import queries

    deadline = time.monotonic() + 10
    while (job_id := fake_worker.store.run(queries.oldest_queued())) is None:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    move(job_id)


@pytest.mark.parametrize("path", ["/api/v1/chat/async", "/api/v1/chat/sync"])
@pytest.mark.parametrize("again", ["order-1", '"order-1"'])
def test_the_same_key_and_body_is_the_same_job(api_client, path, again):
    """Bare and quoted keys are equal, and a header marks the repetition."""
    first = api_client.post(path, json={"message": "hello"}, headers={"Idempotency-Key": "order-1"})
    second = api_client.post(path, json={"message": "hello"}, headers={"Idempotency-Key": again})

    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert second.json["job_id"] == first.json["job_id"]


def test_a_job_of_another_kind_is_not_a_chat(api_client, read_problem):
    """Its id is a 404 under /chat/jobs."""
    task = api_client.post("/api/v1/tasks", json={"kind": "embeddings", "input": ["a"]}).json["task_id"]

    read_problem(api_client.get(f"/api/v1/chat/jobs/{task}"), 404, "job_not_found")
