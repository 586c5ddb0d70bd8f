"""The status, listing and deletion of documents, whatever happened to their jobs."""

import pytest

from api.http import upload_parsing
from api.services import services_of
from documents.files import Files
from jobs import document_lookup, queries
from jobs.results import JobError
from jobs.storage import keys, transitions
from tests.api.documents.sending import PATH, UNKNOWN, mark_ready, send

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)


def test_without_the_extra_every_call_is_501(client, read_problem, monkeypatch):
    """The error names the extra to install."""
    monkeypatch.setattr(upload_parsing, "_is_installed", lambda: False)

    answers = [send(client), client.get(PATH), client.get(f"{PATH}/{UNKNOWN}"), client.delete(f"{PATH}/{UNKNOWN}")]
    answers.append(client.post("/api/v1/chat/async", json={"message": "a", "documents": "all"}))
    for answer in answers:
        assert "pip install" in read_problem(answer, 501, "documents_not_installed")["detail"]
    assert client.post("/api/v1/chat/async", json={"message": "a"}).status_code == 202


def test_documents_are_listed_page_by_page_the_newest_first(client):
    """Following `next_cursor` visits every document once."""
    document_ids = [send(client, f"text {i}".encode(), f"{i}.txt").json["document"]["document_id"] for i in range(5)]

    listed: list[str] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = client.get(PATH, query_string={"limit": 2, **cursor}).json
        listed += [document["document_id"] for document in page["documents"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert listed == document_ids[::-1]


@pytest.mark.parametrize("document_id", [UNKNOWN, "nonsense"])
def test_an_unknown_document_is_not_found(client, read_problem, document_id):
    """An unknown or malformed id is a 404 with its own code."""
    read_problem(client.get(f"{PATH}/{document_id}"), 404, "document_not_found")
    read_problem(client.delete(f"{PATH}/{document_id}"), 404, "document_not_found")


def test_a_deleted_document_is_unusable_and_its_ingest_is_cancelled(client, read_problem):
    """It stays listed until all of its data has been removed."""
    document = send(client).json["document"]
    path = f"{PATH}/{document['document_id']}"

    first, second = client.delete(path), client.delete(path)
    assert first.status_code == second.status_code == 202
    assert first.json["kind"] == "removal"
    assert second.json["task_id"] == first.json["task_id"]
    assert client.get(path).json["status"] == "deleting"
    assert [document["status"] for document in client.get(PATH).json["documents"]] == ["deleting"]
    assert client.get(f"/api/v1/tasks/{document['task_id']}").json["status"] == "cancelled"
    response = client.post("/api/v1/chat/async", json={"message": "a", "documents": [document["document_id"]]})
    read_problem(response, 422, "document_not_found")


def test_uploading_deleted_content_again_makes_another_document(client):
    """The new document has its own id, even while the old one is being removed."""
    first = send(client).json["document"]["document_id"]
    client.delete(f"{PATH}/{first}")

    second = send(client)
    assert second.status_code == 202
    assert second.json["document"]["document_id"] != first
    assert second.json["document"]["status"] == "ingesting"


@pytest.mark.parametrize(
    ("end", "code"),
    [("cancel", "removal_cancelled"), ("fail", "provider_timeout"), ("delete", "removal_lost")],
)
def test_an_orphaned_removal_is_reported_and_restarted(client, fake_worker, expire_creation, end, code):
    """A removal that ended without success shows its error, and a further DELETE starts another one."""
    path = f"{PATH}/{send(client).json['document']['document_id']}"
    removal = client.delete(path).json["task_id"]
    assert client.get(path).json["error"] is None
    if end == "delete":
        client.delete(f"/api/v1/tasks/{removal}")
        expire_creation(path.rpartition("/")[2])
    else:
        getattr(fake_worker, end)(removal)

    (listed,) = client.get(PATH).json["documents"]
    assert (listed["status"], listed["error"]["code"]) == ("deleting", code)
    again = client.delete(path).json
    assert again["status"] == "queued"
    assert client.get(path).json["task_id"] == again["task_id"]
    assert client.get(path).json["error"] is None


@pytest.fixture
def between_reads(app, monkeypatch):
    """Runs an action after the store has answered its next read, before any further one."""
    store = services_of(app).store

    def run(action):
        def read_then_act(commands, *, read_all=store.run_all):
            replies = read_all(commands)
            monkeypatch.setattr(store, "run_all", read_all)
            action()
            return replies

        monkeypatch.setattr(store, "run_all", read_then_act)

    return run


@pytest.mark.parametrize("path", [PATH, f"{PATH}/{{}}"], ids=["list", "document"])
def test_an_ingest_that_ends_between_two_reads_is_not_a_failure(client, fake_worker, between_reads, path):
    """The document is read before its task. If it becomes ready in between, it was never lost."""
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]

    def end_ingest():
        mark_ready(fake_worker, document_id, task_id)
        fake_worker.complete(task_id)

    between_reads(end_ingest)
    body = client.get(path.format(document_id)).json
    shown = body["documents"][0] if "documents" in body else body
    assert (shown["status"], shown["error"]) == ("ready", None)


def test_a_question_is_not_refused_because_an_ingest_ends_between_two_reads(client, fake_worker, between_reads):
    """A client that asks as soon as the document is ready must not be told that it has failed."""
    document = send(client).json["document"]

    def end_ingest():
        mark_ready(fake_worker, document["document_id"], document["task_id"])
        fake_worker.complete(document["task_id"])

    between_reads(end_ingest)
    body = {"message": "When?", "documents": [document["document_id"]]}
    assert client.post("/api/v1/chat/async", json=body).status_code == 202


def test_a_removal_that_ends_between_two_reads_leaves_no_document(client, fake_worker, between_reads):
    """The record is purged before the removal ends; a stale one must not be shown as a removal that was lost."""
    path = f"{PATH}/{send(client).json['document']['document_id']}"
    removal = client.delete(path).json["task_id"]
    record = fake_worker.store.run(queries.document(path.rpartition("/")[2]))

    def end_removal():
        fake_worker.store.run(transitions.document.purge(record))
        fake_worker.complete(removal)

    between_reads(end_removal)
    assert client.get(path).status_code == 404


def test_an_upload_that_still_stores_its_file_is_not_a_failure(client, monkeypatch):
    """The record exists before the file, and the file before the task. A list between them shows no lost ingest."""
    listed, save = [], Files.save

    def list_and_save(*arguments):
        listed.extend(client.get(PATH).json["documents"])
        save(*arguments)

    monkeypatch.setattr(Files, "save", list_and_save)
    send(client)

    assert [(document["status"], document["error"]) for document in listed] == [("ingesting", None)]


@pytest.fixture
def expire_creation(redis_client_of_api):
    """Ends the time in which the task of a document may not have been created yet."""
    times = {"created_at_ms": 1, "assigned_at_ms": 1}
    return lambda document_id: redis_client_of_api.hset(keys.document(document_id), mapping=times)


def test_a_cancelled_ingest_fails_the_document_until_the_next_upload(client):
    """Uploading the same content again starts a new ingest of the same document."""
    document = send(client).json["document"]
    client.post(f"/api/v1/tasks/{document['task_id']}/cancel")

    failed = client.get(f"{PATH}/{document['document_id']}").json
    assert (failed["status"], failed["error"]["code"]) == ("failed", "ingest_cancelled")
    again = send(client)
    assert again.json["document"]["document_id"] == document["document_id"]
    assert again.json["document"]["status"] == "ingesting"
    assert again.json["task"]["status"] == "queued"


def test_an_upload_repairs_a_document_without_a_task(client, expire_creation):
    """A web process may die between the two writes, or the queue may be full."""
    document = send(client).json["document"]
    client.delete(f"/api/v1/tasks/{document['task_id']}")
    expire_creation(document["document_id"])

    assert client.get(f"{PATH}/{document['document_id']}").json["error"]["code"] == "ingest_lost"
    assert send(client).json["task"]["status"] == "queued"


def test_a_failed_document_keeps_its_error_after_its_task_is_deleted(client, fake_worker):
    """The error is stored with the document, not only with the task."""
    document = send(client).json["document"]
    error = JobError(code="encrypted_document", message="it needs a password")
    fake_worker.store.run(transitions.document.mark_failed(document["document_id"], document["task_id"], error))
    client.delete(f"/api/v1/tasks/{document['task_id']}")

    failed = client.get(f"{PATH}/{document['document_id']}").json
    assert (failed["status"], failed["error"]) == ("failed", error.model_dump())


def test_the_list_is_filtered_by_status_and_by_a_part_of_the_filename(client, fake_worker, monkeypatch):
    """Pages of filtered lists join up, however the documents are distributed."""
    monkeypatch.setattr(document_lookup, "_MATCHED_AT_ONCE", 3)
    names = [f"{kind}-{number}.txt" for number in range(4) for kind in ("Report", "note")]
    documents = [send(client, name.encode(), name).json["document"] for name in names]
    mark_ready(fake_worker, documents[2]["document_id"], documents[2]["task_id"])

    def listed(query):
        body, found = client.get(f"{PATH}?{query}").json, []
        while body["next_cursor"]:
            found += body["documents"]
            body = client.get(f"{PATH}?{query}&cursor={body['next_cursor']}").json
        return [document["filename"] for document in [*found, *body["documents"]]]

    assert listed("limit=2") == names[::-1]
    assert listed("limit=2&filename=rEPORT") == names[-2::-2]
    assert listed("limit=1&status=ready") == [names[2]]
    assert listed("status=ready&filename=note") == []
    assert client.get(f"{PATH}?status=done").status_code == 422


def test_a_ready_document_lists_its_pages_with_problems(client, fake_worker):
    """Pages without text and damaged pages are listed, since chats cannot use them."""
    document = send(client).json["document"]
    mark_ready(fake_worker, document["document_id"], document["task_id"])

    response = send(client)
    assert response.status_code == 200
    ready = response.json["document"]
    assert (ready["status"], ready["pages"], ready["pages_done"], ready["chunks"]) == ("ready", 3, 3, 4)
    assert ready["page_problems"] == [{"page": 2, "problem": "no_text"}, {"page": 3, "problem": "damaged"}]
    assert ready["problem_pages"] == 2


def test_only_the_first_hundred_page_problems_are_shown(client, fake_worker):
    """A list of scanned books must stay small; the total is still reported."""
    document = send(client).json["document"]
    no_text, damaged = tuple(range(2, 2_000, 2)), (3, 1_999)
    mark_ready(fake_worker, document["document_id"], document["task_id"], pages=2_000, no_text=no_text, damaged=damaged)

    ready = send(client).json["document"]
    assert ready["problem_pages"] == len(no_text) + len(damaged)
    assert [problem["page"] for problem in ready["page_problems"]] == [2, 3, *range(4, 200, 2)]


def test_a_cancelled_ingest_has_no_partial_answer(client):
    """An ingest has no text, and its result can still be read."""
    task_id = send(client).json["task"]["task_id"]
    client.post(f"/api/v1/tasks/{task_id}/cancel")

    result = client.get(f"/api/v1/tasks/{task_id}/result")
    assert (result.status_code, result.json["status"], result.json["result"]) == (200, "cancelled", None)
    assert client.get(f"/api/v1/chat/jobs/{task_id}").status_code == 404
