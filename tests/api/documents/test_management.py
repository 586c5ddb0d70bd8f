"""Renaming, tagging, filtering and ingesting documents again."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs import queries
from jobs.results import JobError
from jobs.storage import transitions
from tests.api.documents.sending import PATH, UNKNOWN, mark_ready

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)


def upload(client, text, tags="", filename="a.txt"):
    headers = {"Content-Type": "text/plain"}
    return client.post(
        PATH,
        data=text.encode(),
        headers=headers,
        query_string={"filename": filename} | ({"tags": tags} if tags else {}),
    )


def names(client, **query):
    return [document["filename"] for document in client.get(PATH, query_string=query).json["documents"]]


def test_a_document_is_renamed_and_tagged(client, fake_worker):
    """Absent fields stay. The new name is cleaned as that of an upload, and the ingest does not change it back."""
    document = upload(client, "one", "red, green,red", "draft.txt").json["document"]
    path = f"{PATH}/{document['document_id']}"
    renamed = client.patch(path, json={"filename": "../x/final\u0000 \u706f.txt"}).json
    mark_ready(fake_worker, document["document_id"], document["task_id"])
    retagged = client.patch(path, json={"tags": ["blue sky", "blue sky"]}).json

    assert document["tags"] == renamed["tags"] == ["red", "green"]
    assert renamed["filename"] == retagged["filename"] == "final \u706f.txt"
    assert retagged["tags"] == ["blue sky"]
    assert client.patch(path, json={}).json == client.get(path).json == retagged
    assert client.patch(path, json={"tags": []}).json["tags"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"filename": ""}, "filename"),
        ({"filename": 5}, "filename"),
        ({"filename": "x" * 1_001}, "filename"),
        ({"tags": "red"}, "tags"),
        ({"tags": ["a,b"]}, "tags[0]"),
        ({"tags": ["a", ""]}, "tags[1]"),
        ({"tags": [" a"]}, "tags[0]"),
        ({"tags": ["a\n"]}, "tags[0]"),
        ({"tags": ["x" * 65]}, "tags[0]"),
        ({"tags": [str(number) for number in range(21)]}, "tags"),
        ({"name": "x"}, "name"),
    ],
)
def test_a_change_that_is_not_allowed_is_named(client, body, param):
    """And changes nothing."""
    document = upload(client, "one", "red").json["document"]
    problem = client.patch(f"{PATH}/{document['document_id']}", json=body)

    assert (problem.status_code, problem.json["error"]["param"]) == (422, param)
    assert client.get(f"{PATH}/{document['document_id']}").json == document


@pytest.mark.parametrize("tags", ["x" * 65, ",".join(map(str, range(21))), "a\u0001b"])
def test_an_upload_with_invalid_tags_is_refused(client, tags, files):
    """Nothing is stored."""
    problem = upload(client, "one", tags)

    assert (problem.status_code, problem.json["error"]["param"]) == (422, "tags")
    assert files() == []


def test_a_deleted_document_is_neither_changed_nor_ingested(client):
    """Nor is one that never existed."""
    document_id = upload(client, "one").json["document"]["document_id"]
    client.delete(f"{PATH}/{document_id}")
    for name in (document_id, UNKNOWN, "x"):
        assert client.patch(f"{PATH}/{name}", json={"tags": ["a"]}).status_code == 404
        assert client.post(f"{PATH}/{name}/ingest").status_code == 404

    assert client.get(f"{PATH}/{document_id}").json["tags"] == []


def test_the_list_is_filtered_by_tag_type_and_time(client):
    """Filters can be combined; tags must all be there."""
    before = datetime.now(UTC) - timedelta(minutes=1)
    upload(client, "one", "red,green", "one.txt")
    upload(client, "two", "red", "two.md")
    upload(client, "three", "", "three.txt")
    later = (before + timedelta(minutes=5)).isoformat()

    assert names(client, tags="red") == ["two.md", "one.txt"]
    assert names(client, tags="green, red") == ["one.txt"]
    assert names(client, tags="gree") == []
    assert names(client, kind="markdown", tags="red") == ["two.md"]
    assert len(names(client, created_after=before.isoformat(), created_before=later)) == 3
    assert names(client, created_after=later) == names(client, created_before=before.isoformat()) == []
    for query in ({"kind": "rtf"}, {"created_after": "yesterday"}, {"created_before": "2026-01-01T00:00:00"}):
        assert client.get(PATH, query_string=query).status_code == 422


def test_a_question_to_tags_needs_all_documents_and_one_that_is_ready(client, fake_worker):
    """The error is that of the request, not of its job."""
    document = upload(client, "one", "red,green").json["document"]

    def ask(**fields):
        return client.post("/api/v1/chat/async", json={"message": "?"} | fields)

    early = ask(documents="all", document_tags=["red"])
    mark_ready(fake_worker, document["document_id"], document["task_id"])

    assert (early.status_code, early.json["error"]["code"]) == (422, "document_not_found")
    assert ask(documents="all", document_tags=["red", "green"]).status_code == 202
    for fields in (
        {"documents": "all", "document_tags": ["red", "blue"]},
        {"documents": [document["document_id"]], "document_tags": ["red"]},
        {"document_tags": ["red"]},
    ):
        problem = ask(**fields)
        assert (problem.status_code, problem.json["error"]["param"]) == (422, "document_tags")


@pytest.mark.parametrize("state", ["ready", "failed"])
def test_a_document_is_ingested_again_from_its_file(client, fake_worker, state):
    """By a new task, in the charset of its upload. Repeated while it runs, the call returns the same task."""
    text = "K\u00e4se".encode("cp1252")
    sent = client.post(
        f"{PATH}?filename=a.txt", data=text, headers={"Content-Type": "text/plain; charset=windows-1252"}
    )
    document_id, first = sent.json["document"]["document_id"], sent.json["task"]["task_id"]
    if state == "ready":
        mark_ready(fake_worker, document_id, first)
    else:
        error = JobError(code="no_text", message="m")
        assert fake_worker.store.run(transitions.document.mark_failed(document_id, first, error))
    fake_worker.cancel(first)
    again = client.post(f"{PATH}/{document_id}/ingest")
    repeated = client.post(f"{PATH}/{document_id}/ingest")
    second = again.json["task"]["task_id"]
    request = fake_worker.store.run(queries.request(second))

    assert again.status_code == repeated.status_code == 202
    assert again.json["document"]["status"] == "ingesting"
    assert again.json["document"]["error"] is None
    assert again.headers["Location"] == f"{PATH}/{document_id}"
    assert second != first
    assert repeated.json["task"]["task_id"] == second
    assert request.charset == "windows-1252"
    mark_ready(fake_worker, document_id, second)
    assert client.get(f"{PATH}/{document_id}").json["status"] == "ready"


def test_an_ingest_that_was_lost_is_started_again(client, fake_worker):
    """Its task was cancelled, so the document is failed, although its record still awaits that task."""
    document = upload(client, "one").json
    fake_worker.cancel(document["task"]["task_id"])
    path = f"{PATH}/{document['document']['document_id']}"
    assert client.get(path).json["error"]["code"] == "ingest_cancelled"

    again = client.post(f"{path}/ingest").json
    assert again["document"]["status"] == "ingesting"
    assert again["task"]["task_id"] != document["task"]["task_id"]
