"""Tasks over HTTP: create, show, list, result, cancel, delete."""

import pytest

from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.storage import keys
from jobs.vector_encoding import pack

UNKNOWN = "job_" + "0" * 32


def _ids(response):
    return [task["task_id"] for task in response.json["tasks"]]


def test_a_task_of_each_kind_is_accepted_and_readable(api_client):
    """The response is 202 with Location, and the task has a preview instead of its full request."""
    for body in ({"kind": "chat", "message": "hi " * 100}, {"kind": "embeddings", "input": ["a", "b"]}):
        accepted = api_client.post("/api/v1/tasks", json=body)
        read = api_client.get(accepted.headers["Location"])

        assert accepted.status_code == 202
        assert read.status_code == 200
        assert read.json == accepted.json | {"failed_attempts": []}
        assert (read.json["kind"], read.json["status"], read.json["queue_position"]) == (
            body["kind"],
            "queued",
            _queue_position(body),
        )
        assert len(read.json["prompt_preview"].encode()) <= 60


def _queue_position(body):
    return 0 if body["kind"] == "chat" else 1


def test_tasks_by_id_are_returned_in_the_given_order(api_client, submit_chat):
    """Unknown and malformed ids are listed separately, and repeated ids are returned once."""
    a, b = submit_chat(), submit_chat()

    response = api_client.get(f"/api/v1/tasks?ids={b},{UNKNOWN},nonsense,{a},{b}")

    assert response.status_code == 200
    assert _ids(response) == [b, a]
    assert response.json["unknown"] == [UNKNOWN, "nonsense"]
    assert response.json["next_cursor"] is None


def test_a_thousand_ids_are_accepted(api_client, submit_chat):
    """The documented maximum works."""
    known = [submit_chat() for _ in range(3)]
    unknown = [f"job_{number:032x}" for number in range(997)]

    response = api_client.get("/api/v1/tasks?ids=" + ",".join(known + unknown))

    assert response.status_code == 200
    assert _ids(response) == known
    assert response.json["unknown"] == unknown


def test_pages_list_each_task_once_newest_first(api_client, submit_chat):
    """Following next_cursor visits all tasks in order, and ends."""
    ids = [submit_chat() for _ in range(5)]
    listed, cursor = [], ""
    while cursor is not None:
        page = api_client.get(f"/api/v1/tasks?limit=2{f'&cursor={cursor}' if cursor else ''}")
        listed += _ids(page)
        cursor = page.json["next_cursor"]

    assert listed == ids[::-1]


def test_a_full_last_page_has_no_cursor(api_client, submit_chat):
    """A client must not have to fetch an empty page to find the end."""
    for _ in range(2):
        submit_chat()

    assert api_client.get("/api/v1/tasks?limit=2").json["next_cursor"] is None


def test_pages_can_be_filtered_by_status(api_client, submit_chat, fake_worker):
    """Only tasks with that status are listed."""
    done, queued = submit_chat(), submit_chat()
    fake_worker.complete(done)

    assert _ids(api_client.get("/api/v1/tasks?status=completed")) == [done]
    assert _ids(api_client.get("/api/v1/tasks?status=queued")) == [queued]
    assert _ids(api_client.get("/api/v1/tasks?status=failed")) == []


def test_index_entries_of_expired_records_are_skipped(api_client, submit_chat, fake_worker, api_services):
    """Pages continue after the expired entries, and still end."""
    ids = [submit_chat() for _ in range(12)]
    for job_id in ids[2:]:
        fake_worker.complete(job_id)
        api_services.store._client.delete(f"cq:job:{job_id}")

    page = api_client.get("/api/v1/tasks?limit=3")

    assert _ids(page) == ids[1::-1]
    assert page.json["next_cursor"] is None


def test_a_result_is_typed_by_kind(api_client, submit_chat, fake_worker):
    """`kind` distinguishes the results of chats and embeddings."""
    chat = submit_chat()
    embeddings = api_client.post("/api/v1/tasks", json={"kind": "embeddings", "input": ["a"]}).json["task_id"]
    fake_worker.complete(chat)
    fake_worker.complete(embeddings, EmbeddingsAnswer(vectors=(pack([0.5, 1.0]),), model="e", usage=None))

    text = api_client.get(f"/api/v1/tasks/{chat}/result")
    vectors = api_client.get(f"/api/v1/tasks/{embeddings}/result")

    assert (text.status_code, text.json["result"]["text"]) == (200, "an answer")
    assert (vectors.status_code, vectors.json["result"]["vectors"]) == (200, [[0.5, 1.0]])
    assert text.json["error"] is None


def test_a_result_that_does_not_exist_yet_is_202(api_client, submit_chat):
    """The response has a Retry-After."""
    response = api_client.get(f"/api/v1/tasks/{submit_chat()}/result")

    assert (response.status_code, response.json["result"]) == (202, None)
    assert response.headers["Retry-After"] == "1"


def test_a_failed_task_has_its_error(api_client, submit_chat, fake_worker):
    """The result and the status of the task have the same code."""
    job_id = submit_chat()
    fake_worker.fail(job_id)

    assert api_client.get(f"/api/v1/tasks/{job_id}/result").json["error"]["code"] == "provider_timeout"
    assert api_client.get(f"/api/v1/tasks/{job_id}").json["error_code"] == "provider_timeout"


def test_cancel_needs_no_body_and_may_be_repeated(api_client, submit_chat):
    """A repeated cancel returns the same cancelled task."""
    job_id = submit_chat()
    first = api_client.post(f"/api/v1/tasks/{job_id}/cancel")
    second = api_client.post(f"/api/v1/tasks/{job_id}/cancel")

    assert (first.status_code, first.json["status"]) == (200, "cancelled")
    assert second.json == first.json


def test_cancel_does_not_change_a_final_task(api_client, submit_chat, fake_worker):
    """The response is 200 with the unchanged task, not a conflict."""
    job_id = submit_chat()
    fake_worker.complete(job_id)

    response = api_client.post(f"/api/v1/tasks/{job_id}/cancel")

    assert (response.status_code, response.json["status"]) == (200, "completed")


@pytest.mark.parametrize("state", ["queued", "in_progress", "completed"])
def test_a_deleted_task_is_gone_whatever_its_state(api_client, submit_chat, fake_worker, state):
    """It is a 404 and not listed afterwards."""
    job_id = submit_chat()
    if state == "in_progress":
        fake_worker.claim(job_id)
    if state == "completed":
        fake_worker.complete(job_id)

    response = api_client.delete(f"/api/v1/tasks/{job_id}")

    assert (response.status_code, response.data) == (204, b"")
    assert api_client.get(f"/api/v1/tasks/{job_id}").status_code == 404
    assert api_client.get("/api/v1/tasks").json["tasks"] == []


def test_a_deleted_task_frees_its_idempotency_key(api_client):
    """The same key then creates a new task."""
    headers = {"Idempotency-Key": "k"}
    body = {"kind": "chat", "message": "hello"}
    first = api_client.post("/api/v1/tasks", json=body, headers=headers).json["task_id"]
    api_client.delete(f"/api/v1/tasks/{first}")

    again = api_client.post("/api/v1/tasks", json=body, headers=headers)

    assert again.status_code == 202
    assert again.json["task_id"] != first


@pytest.mark.parametrize(("path", "name"), [("/api/v1/tasks", "task_id"), ("/v1/responses", "id")])
def test_a_key_whose_task_redis_has_lost_creates_it_again(api_client, fake_worker, redis_client_of_api, path, name):
    """Otherwise the key would answer 404 for a day. A different request is a conflict all the same."""
    body: dict[str, object] = {"kind": "chat", "message": "hello"}
    if path == "/v1/responses":
        previous = api_client.post(path, json={"input": "hi", "background": True}).json["id"]
        fake_worker.complete(previous)
        body = {"input": "and now?", "background": True, "previous_response_id": previous}

    def submit(**changes):
        return api_client.post(path, json=body | changes, headers={"Idempotency-Key": "k"})

    first = submit().json[name]
    redis_client_of_api.delete(keys.job(first))

    again = submit().json[name]
    assert again != first
    assert submit().json[name] == again
    assert submit(metadata={"a": "b"}).json["error"]["code"] == "idempotency_conflict"


def test_a_repeated_submit_is_the_same_task(api_client):
    """The same idempotency key and body never create a second task."""
    body, headers = {"kind": "embeddings", "input": ["a"]}, {"Idempotency-Key": "k"}
    first = api_client.post("/api/v1/tasks", json=body, headers=headers)
    second = api_client.post("/api/v1/tasks", json=body, headers=headers)

    assert second.json["task_id"] == first.json["task_id"]
    assert second.headers["Idempotency-Replayed"] == "true"
