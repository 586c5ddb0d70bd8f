"""Data that another version wrote, or that is damaged: every call bears it, and it can be cancelled and deleted."""

import json

import pytest

from jobs.results import Usage
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant import DEFAULT_TENANT

RECORD_DAMAGE = [
    {"kind": "batch"},
    {"state": "batching"},
    {"state": "archived", "finished_at_ms": "1"},
    {"kind": "batch", "state": "batching", "new_field": "x"},
    {"seq": "seven"},
    {"version": "1.5"},
    {"created_at_ms": "9" * 30},
    {"attempts": "-1", "max_attempts": "", "token": "x"},
    {"usage": "many", "progress": "half", "retry_at_ms": "soon", "deadline_ms": "never"},
    {"result_ttl": "long", "log_start": "x", "log_length": "y", "queue": "other"},
]
DOCUMENT = "doc_" + "1" * 32
NO_HASH = {"type": "list"}  # of Redis: all fields are gone


@pytest.fixture
def damage(redis_client_of_api, submit_chat):
    """Creates a job, and writes these fields into its record."""

    def write(fields):
        job_id = submit_chat()
        if fields == NO_HASH:
            redis_client_of_api.delete(keys.job(job_id))
            redis_client_of_api.rpush(keys.job(job_id), "x")
        else:
            redis_client_of_api.hset(keys.job(job_id), mapping=fields)
        return job_id

    return write


def task(api_client, job_id):
    response = api_client.get(f"/api/v1/tasks/{job_id}")
    assert response.status_code == 200, response.text
    return response.json


@pytest.mark.parametrize("fields", [*RECORD_DAMAGE, NO_HASH])
def test_an_unreadable_record_hides_nothing_and_can_be_cancelled_and_deleted(
    api_client, damage, submit_chat, fields, fake_worker
):
    """Lists, searches by id, stats and bulk retries contain everything else, and say what they cannot read."""
    job_id, other = damage(fields), submit_chat()
    lists = [api_client.get("/api/v1/tasks").json, api_client.get(f"/api/v1/tasks?ids={job_id},{other}").json]
    pages = [api_client.get("/api/v1/tasks?limit=1").json]
    pages.append(api_client.get(f"/api/v1/tasks?limit=1&cursor={pages[0]['next_cursor']}").json)
    results = [api_client.get(path) for path in (f"/api/v1/tasks/{job_id}/result", "/api/v1/queue/stats", "/health")]
    retried = [api_client.post("/api/v1/tasks/retry", json={"status": status}) for status in ("failed", "cancelled")]

    assert [{job["task_id"] for job in found["tasks"]} for found in lists] == [{job_id, other}] * 2
    assert [page["tasks"][0]["task_id"] for page in pages] == [other, job_id]
    assert {response.status_code for response in results} <= {200, 202}
    assert [response.status_code for response in retried] == [200, 200]
    assert task(api_client, job_id) == lists[0]["tasks"][1] | {"failed_attempts": []}
    assert api_client.post(f"/api/v1/tasks/{job_id}/cancel").status_code == 200
    assert api_client.delete(f"/api/v1/tasks/{job_id}").status_code == 204
    assert api_client.get(f"/api/v1/tasks/{job_id}").status_code == 404
    assert api_client.get("/api/v1/queue/stats").json["counts"] == {state: int(state == "queued") for state in State}


@pytest.mark.parametrize("part", [keys.request, keys.result, keys.attempts, keys.events])
def test_a_part_of_a_job_of_the_wrong_type_costs_only_that_part(
    api_client, fake_worker, redis_client_of_api, submit_chat, part
):
    """Every read bears it, and the job can be deleted."""
    job_id = submit_chat()
    fake_worker.complete(job_id)
    redis_client_of_api.delete(part(job_id))
    redis_client_of_api.zadd(part(job_id), {"x": 1})

    for path in (f"tasks/{job_id}", f"tasks/{job_id}/result", f"chat/jobs/{job_id}", f"chat/jobs/{job_id}/events"):
        assert api_client.get(f"/api/v1/{path}").status_code == 200, path
    assert api_client.delete(f"/api/v1/tasks/{job_id}").status_code == 204


def test_a_kind_and_a_status_of_another_version_are_shown_as_they_stand(api_client, damage):
    """A person can then tell which version to look at."""
    job = task(api_client, damage({"kind": "batch", "state": "batching", "version": "x"}))

    assert (job["kind"], job["status"]) == ("batch", "unknown")
    assert job["unreadable"] == {"kind": "batch", "status": "batching", "version": None}


def test_a_readable_task_has_nothing_unreadable(api_client, submit_chat):
    """The marker means something only if it is empty for every other task."""
    assert task(api_client, submit_chat())["unreadable"] == {}


def test_a_record_without_a_state_is_a_task_that_can_be_cancelled(api_client, redis_client_of_api, submit_chat):
    """Half a record must not be out of reach: it would stay for ever."""
    job_id = submit_chat()
    redis_client_of_api.hdel(keys.job(job_id), "state", "seq", "kind", "queue")

    assert task(api_client, job_id)["status"] == "unknown"
    assert api_client.post(f"/api/v1/tasks/{job_id}/cancel").json["status"] == "cancelled"


@pytest.mark.parametrize("stored", ["", "{", "[]", '{"status":"SUCCESS","result":{"kind":"poem","text":"x"}}'])
def test_an_unreadable_answer_is_an_error_that_says_so(api_client, fake_worker, redis_client_of_api, stored):
    """The job stays completed; no call shows it as an empty answer."""
    job_id = api_client.post("/v1/responses", json={"input": "hi", "background": True}).json["id"]
    fake_worker.complete(job_id)
    redis_client_of_api.set(keys.result(job_id), stored)
    code = "answer_unreadable" if stored else "answer_lost"

    result = api_client.get(f"/api/v1/tasks/{job_id}/result").json
    assert (result["status"], result["result"], result["error"]["code"]) == ("completed", None, code)
    assert code in api_client.get(f"/v1/responses/{job_id}").json["error"]["message"]
    completion = api_client.get(f"/v1/chat/completions/{job_id}")
    assert (completion.status_code, completion.json["error"]["code"]) == (502, code)
    assert code in api_client.get(f"/v1/responses/{job_id}?stream=true").text


def test_an_unreadable_part_of_an_answer_costs_only_that_part(
    api_client, fake_worker, redis_client_of_api, submit_chat
):
    """The text has been paid for."""
    job_id = submit_chat()
    fake_worker.complete(job_id)
    meta = json.loads(redis_client_of_api.get(keys.result(job_id)))
    meta["result"] |= {"citations": [{"new": 1}], "mood": "calm"}
    redis_client_of_api.set(keys.result(job_id), json.dumps(meta))

    chat = api_client.get(f"/api/v1/chat/jobs/{job_id}").json
    assert (chat["answer"], chat["citations"], chat["error"]) == ("an answer", None, None)


def test_unreadable_failed_attempts_are_entries_that_say_so(api_client, redis_client_of_api, submit_chat):
    """One bad entry must not hide the others."""
    job_id = submit_chat()
    good = '{"attempt":1,"at_ms":1,"code":"c","message":"m","new":1}'
    redis_client_of_api.rpush(keys.attempts(job_id), good, "{", '{"attempt":"x","code":"d"}')

    attempts = task(api_client, job_id)["failed_attempts"]
    assert [(entry["attempt"], entry["code"]) for entry in attempts] == [(1, "c"), (2, "unreadable"), (3, "d")]


def stream(api_client, job_id):
    return api_client.get(f"/api/v1/chat/jobs/{job_id}/events").text


@pytest.mark.parametrize("entry", ['{"type":"mood","text":"x"}', "{", "[]"])
def test_an_unknown_event_is_skipped_and_keeps_its_number(api_client, fake_worker, submit_chat, entry):
    """A reader can resume after any event that it has received."""
    job_id = submit_chat()
    lease = fake_worker.claim(job_id)
    events = (transitions.delta_event("a"), entry, transitions.delta_event("b"))
    fake_worker.store.run(
        transitions.append(lease, transitions.PendingEvents(1, events), Usage.estimate(input_chars=1, deltas=1))
    )
    fake_worker.cancel(job_id)

    received = stream(api_client, job_id)
    assert [line for line in received.splitlines() if line.startswith("id: ")] == ["id: 0", "id: 1", "id: 3", "id: 4"]
    assert api_client.get(f"/api/v1/tasks/{job_id}/result").json["result"]["text"] == "ab"


@pytest.mark.parametrize("last", ['{"type":"archived"}', "{"])
def test_a_stream_whose_last_event_is_unreadable_ends_as_the_record_says(
    api_client, fake_worker, redis_client_of_api, submit_chat, last
):
    """A stream without an end would be followed for ever."""
    job_id = submit_chat()
    fake_worker.complete(job_id)
    redis_client_of_api.lset(keys.events(job_id), -1, last)

    assert "event: completed" in stream(api_client, job_id)


def test_a_stream_of_a_job_that_ended_in_an_unknown_state_ends(
    api_client, fake_worker, redis_client_of_api, submit_chat
):
    """This version cannot name the end, but it can see that there is one."""
    job_id = submit_chat()
    fake_worker.complete(job_id)
    redis_client_of_api.lset(keys.events(job_id), -1, '{"type":"archived"}')
    redis_client_of_api.hset(keys.job(job_id), "state", "archived")

    assert "event: in_progress" in stream(api_client, job_id)


@pytest.mark.parametrize("damaged", ['{"kind":"chat","message":"x","tone":"kind"}', None])
def test_a_response_whose_request_is_unreadable_or_lost_can_be_cancelled(api_client, redis_client_of_api, damaged):
    """A cancel needs no request."""
    job_id = api_client.post("/v1/responses", json={"input": "hi", "background": True}).json["id"]
    redis_client_of_api.delete(keys.request(job_id))
    if damaged:
        redis_client_of_api.set(keys.request(job_id), damaged)

    assert api_client.get(f"/v1/responses/{job_id}").json["error"]["code"] == "request_unreadable"
    assert api_client.post(f"/v1/responses/{job_id}/cancel").json["status"] == "cancelled"


def test_a_task_with_the_id_prefix_of_a_newer_kind_is_listed_and_deleted(api_client, redis_client_of_api, submit_chat):
    """Its id must not look malformed."""
    job_id, newer = submit_chat(), "batch_" + "0" * 32
    redis_client_of_api.copy(keys.job(job_id), keys.job(newer))
    redis_client_of_api.zadd(keys.INDEX_ALL, {newer: 1_000})

    assert newer in [job["task_id"] for job in api_client.get("/api/v1/tasks").json["tasks"]]
    assert api_client.delete(f"/api/v1/tasks/{newer}").status_code == 204


@pytest.fixture
def document(redis_client_of_api):
    """A document's record with everything that this version does not know."""
    fields = {"tenant": "default", "state": "reindexing", "kind": "hologram", "seq": "x", "size": "big", "no_text": "{"}
    redis_client_of_api.hset(keys.document(DOCUMENT), mapping=fields)
    redis_client_of_api.zadd(keys.documents(DEFAULT_TENANT), {DOCUMENT: 7, "doc_" + "2" * 32: 8})
    return DOCUMENT


def test_a_document_whose_record_has_the_wrong_type_is_listed_and_deleted(api_client, redis_client_of_api):
    """It must neither hide the other documents nor stay for ever."""
    redis_client_of_api.rpush(keys.document(DOCUMENT), "x")
    redis_client_of_api.zadd(keys.documents(DEFAULT_TENANT), {DOCUMENT: 7})

    listed = api_client.get("/api/v1/documents").json["documents"]
    assert [(document["document_id"], document["status"]) for document in listed] == [(DOCUMENT, "unknown")]
    assert api_client.delete(f"/api/v1/documents/{DOCUMENT}").status_code == 202
    assert api_client.get(f"/api/v1/documents/{DOCUMENT}").json["status"] == "deleting"


def test_an_unreadable_document_is_listed_shown_and_deleted(api_client, document):
    """A document without a record beside it does not end the list either."""
    listed = api_client.get("/api/v1/documents?limit=1").json
    second = api_client.get(f"/api/v1/documents?limit=1&cursor={listed['next_cursor']}").json
    shown = api_client.get(f"/api/v1/documents/{document}").json

    assert (listed["documents"], second["documents"]) == ([], [shown])
    assert (shown["status"], shown["kind"], shown["unreadable"]["status"]) == ("unknown", "unknown", "reindexing")
    asked = api_client.post("/api/v1/chat/async", json={"message": "?", "documents": [document]})
    assert (asked.status_code, asked.json["error"]["code"]) == (422, "document_not_ready")
    assert api_client.delete(f"/api/v1/documents/{document}").status_code == 202
    assert api_client.get(f"/api/v1/documents/{document}").json["status"] == "deleting"
