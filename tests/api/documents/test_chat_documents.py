"""Chats with documents: which documents are accepted, and how citations are returned."""

import pytest

from jobs.kinds.chat import ChatAnswer
from jobs.results import Citation
from tests.api.documents.sending import UNKNOWN, mark_ready, send

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)


def test_only_ready_documents_can_be_used(client, fake_worker, read_problem):
    """A chat with a document that is being ingested or has failed is a 422 with its own code."""
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]

    def ask():
        return client.post("/api/v1/tasks", json={"kind": "chat", "message": "a", "documents": [document_id]})

    read_problem(ask(), 422, "document_not_ready")
    client.post(f"/api/v1/tasks/{task_id}/cancel")
    assert read_problem(ask(), 422, "document_failed")["error"]["param"] == "documents[0]"
    mark_ready(fake_worker, document_id, task_id)
    assert ask().status_code == 202


WRONG_DOCUMENTS = [
    ("ALL", "input should be 'all'"),
    ([], "must not be empty"),
    ([UNKNOWN] * 101, "must have at most 100 entries"),
]


@pytest.mark.parametrize(("documents", "detail"), WRONG_DOCUMENTS)
def test_an_invalid_documents_field_is_explained(client, read_problem, documents, detail):
    """The error message states which values `documents` accepts."""
    answer = client.post("/api/v1/chat/async", json={"message": "a", "documents": documents})

    assert read_problem(answer, 422, "invalid_request")["detail"] == f"documents: {detail}"


@pytest.mark.parametrize("documents", [["doc_1"], ["job_" + "0" * 32], "some", 1, [1], UNKNOWN, {"a": 1}])
def test_documents_that_are_no_list_of_ids_are_invalid(client, read_problem, documents):
    """Anything but a list of well-formed ids or `all` is a 422."""
    answer = client.post("/api/v1/chat/async", json={"message": "a", "documents": documents})

    assert read_problem(answer, 422, "invalid_request")["error"]["param"].startswith("documents")


def test_citations_are_in_the_chat_the_result_and_the_last_event(client, fake_worker, submit_chat):
    """Each way to read the answer returns the same citations."""
    cited = Citation(document_id=UNKNOWN, filename="a.pdf", page=2, quote="Canary.", score=0.5)
    job_id = submit_chat("hello")
    fake_worker.complete(
        job_id, ChatAnswer(text="x [1]", model=None, finish_reason="stop", usage=None, citations=(cited,))
    )

    assert client.get(f"/api/v1/chat/jobs/{job_id}").json["citations"] == [cited.model_dump()]
    assert client.get(f"/api/v1/tasks/{job_id}/result").json["result"]["citations"] == [cited.model_dump()]
    assert '"citations":[{"document_id"' in client.get(f"/api/v1/chat/jobs/{job_id}/events").text
    assert "Canary" not in repr(cited)
