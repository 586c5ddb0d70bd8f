"""Documents over HTTP, without a worker: what is accepted, what is refused and why, and that nothing is left of it."""

import errno
import io
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from api import upload
from jobs import queries, shelf, verbs
from jobs.answers import ChatAnswer, Citation, JobError
from tests.documents.making import make_pdf

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

PATH = "/api/v1/documents"
UNKNOWN = "doc_" + "0" * 32
PDF = make_pdf(["One page."])


@pytest.fixture
def app(api_app, make_api, api_redis_port, tmp_path):
    return make_api(api_redis_port, data_dir=tmp_path, document_max_bytes=200_000)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture
def files(tmp_path):
    """Names of all files that the documents' room holds, half-received ones too."""
    return lambda: sorted(path.name for path in (tmp_path / "documents").rglob("*") if path.is_file())


def send(client, content=PDF, filename="a.pdf", field="file"):
    return client.post(PATH, data={field: (io.BytesIO(content), filename)})


def test_an_upload_is_answered_with_the_document_and_its_task(client, files):
    response = send(client, filename="C:\\secret\\../handbook.pdf")

    assert response.status_code == 202
    document, task = response.json["document"], response.json["task"]
    assert response.headers["Location"] == f"{PATH}/{document['document_id']}"
    assert (document["filename"], document["kind"], document["status"]) == ("handbook.pdf", "pdf", "ingesting")
    assert document["size"] == len(PDF)
    assert (task["task_id"], task["kind"], task["status"]) == (document["task_id"], "ingest", "queued")
    assert files() == [document["document_id"]]
    assert client.get(response.headers["Location"]).json == document
    assert client.get(f"/api/v1/tasks/{task['task_id']}").json["prompt_preview"] == "handbook.pdf"


def test_a_file_may_be_the_body_itself(client):
    """Its name in the query; of a name's control characters and folders nothing is kept."""
    name = {"filename": "../x/\x00a\n\u202e.md"}
    response = client.post(PATH, data="# Hello", content_type="text/markdown", query_string=name)

    assert response.status_code == 202
    assert (response.json["document"]["filename"], response.json["document"]["kind"]) == ("a.md", "markdown")


def test_the_same_content_is_the_same_document_and_the_same_task(client, files):
    first, second = send(client), send(client, filename="other.pdf")

    assert second.json["document"] == first.json["document"]
    assert second.json["task"]["task_id"] == first.json["task"]["task_id"]
    assert len(files()) == 1


def test_the_same_file_ten_times_at_once_is_one_document_one_task_and_one_file(app, files, hands):
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: send(app.test_client()), range(10)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["document"]["document_id"] for answer in answers}) == 1
    assert len({answer.json["task"]["task_id"] for answer in answers}) == 1
    assert len(files()) == 1
    assert len(hands.store.run(queries.page(None, None, 100))) == 1


def test_a_document_that_is_deleted_under_its_upload_is_uploaded_as_another(client, files, monkeypatch):
    """Between finding it and looking at it; however often."""
    views, deleted = shelf.views, []

    def delete_first(store, document_ids):
        if len(deleted) < 3:
            monkeypatch.setattr(shelf, "views", views)
            deleted.append(client.delete(f"{PATH}/{document_ids[0]}").status_code)
            monkeypatch.setattr(shelf, "views", delete_first)
        return views(store, document_ids)

    monkeypatch.setattr(shelf, "views", delete_first)
    document = send(client).json["document"]

    assert deleted == [202, 202, 202]
    assert client.get(f"{PATH}/{document['document_id']}").json["status"] == "ingesting"
    assert files() == [document["document_id"]]


def test_a_document_that_is_deleted_each_time_is_refused_as_unavailable(client, monkeypatch, read_problem, files):
    monkeypatch.setattr(shelf, "views", lambda _, ids: [None for _ in ids])

    read_problem(send(client), 503, "store_unavailable")
    assert files() == []


def test_an_upload_brings_a_failed_document_the_file_that_it_has_lost(client, files, tmp_path):
    """Ready or being ingested, it keeps the one that it has."""
    document = send(client).json["document"]
    kept = tmp_path / "documents" / "files" / document["document_id"]
    kept.unlink()

    send(client)
    assert not kept.exists()
    client.post(f"/api/v1/tasks/{document['task_id']}/cancel")
    send(client)
    assert kept.read_bytes() == PDF


def test_a_full_disk_is_named_and_sent_again_the_upload_is_accepted(client, monkeypatch, read_problem, files, caplog):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", no_room)
        assert read_problem(send(client), 507, "storage_full")["error"]["param"] is None
    assert "errno=ENOSPC" in caplog.text
    assert files() == []
    assert send(client).status_code == 202


BAD = {
    "empty": (b"", 422, "empty_document"),
    "neither pdf nor text": (b"\x89PNG\r\n\x1a\n\0\0\0", 415, "unsupported_document"),
    "too large": (b"a" * 200_001, 413, "document_too_large"),
    "far too large": (b"a" * 400_000, 413, "document_too_large"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_a_document_is_refused_and_leaves_nothing(client, files, read_problem, name):
    content, status, code = BAD[name]

    assert read_problem(send(client, content), status, code)["error"]["param"] == "file"
    assert files() == []
    assert client.get(PATH).json["documents"] == []


MALFORMED = {
    "no file": (b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n", 400, "malformed_upload"),
    "no end": (b"--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nabc", 400, "malformed_upload"),
    "no form": (b"hello", 400, "malformed_upload"),
    "nothing": (b"", 400, "malformed_upload"),
    "no disposition": (b"--b\r\nX: y\r\n\r\n1\r\n--b--\r\n", 400, "malformed_upload"),
    "endless header": (b"--b\r\n" + b"x" * 150_000, 400, "malformed_upload"),
    "many parts": (b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n" * 50, 400, "malformed_upload"),
    "two files": (
        b"--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nabc\r\n" * 2 + b"--b--\r\n",
        400,
        "malformed_upload",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_form_is_refused_and_leaves_nothing(client, files, read_problem, name):
    content, status, code = MALFORMED[name]

    read_problem(client.post(PATH, data=content, content_type="multipart/form-data; boundary=b"), status, code)
    assert files() == []


@pytest.mark.parametrize("content_type", ["application/json", "image/png", "multipart/form-data", ""])
def test_a_body_of_another_type_is_refused(client, read_problem, content_type):
    read_problem(client.post(PATH, data=b"x", content_type=content_type), 415, "unsupported_media_type")


def test_fuzzed_forms_are_accepted_or_refused_and_never_a_fault(client):
    """Bytes flipped, cut out and doubled, boundaries included: 300 of them."""
    chance = random.Random(4)
    whole = b"--b\r\nContent-Disposition: form-data; name=f; filename=a.pdf\r\n\r\n" + PDF + b"\r\n--b--\r\n"
    for _ in range(300):
        body = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(body))
            body[at : at + chance.choice([0, 1, 1, 30])] = chance.randbytes(chance.choice([0, 1, 1, 20]))
        response = client.post(PATH, data=bytes(body), content_type="multipart/form-data; boundary=b")
        assert response.status_code in (200, 202, 400, 413, 415, 422), response.text


def test_without_the_extra_each_call_says_what_to_install(client, read_problem, monkeypatch):
    monkeypatch.setattr(upload, "_is_installed", lambda: False)

    answers = [send(client), client.get(PATH), client.get(f"{PATH}/{UNKNOWN}"), client.delete(f"{PATH}/{UNKNOWN}")]
    answers.append(client.post("/api/v1/chat/async", json={"message": "a", "documents": "all"}))
    for answer in answers:
        assert "pip install" in read_problem(answer, 501, "documents_not_installed")["detail"]
    assert client.post("/api/v1/chat/async", json={"message": "a"}).status_code == 202


def test_documents_are_listed_page_by_page_the_newest_first(client):
    sent = [send(client, f"text {i}".encode(), f"{i}.txt").json["document"]["document_id"] for i in range(5)]

    listed, cursor = [], {}
    while cursor is not None:
        page = client.get(PATH, query_string={"limit": 2, **cursor}).json
        listed += [document["document_id"] for document in page["documents"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert listed == sent[::-1]


@pytest.mark.parametrize("document_id", [UNKNOWN, "nonsense"])
def test_an_unknown_document_is_not_found(client, read_problem, document_id):
    read_problem(client.get(f"{PATH}/{document_id}"), 404, "document_not_found")
    read_problem(client.delete(f"{PATH}/{document_id}"), 404, "document_not_found")


def test_a_deleted_document_is_found_by_nobody_and_its_ingest_is_cancelled(client, read_problem):
    """It is listed as long as there is something left of it."""
    document = send(client).json["document"]
    path = f"{PATH}/{document['document_id']}"

    first, second = client.delete(path), client.delete(path)
    assert first.status_code == second.status_code == 202
    assert first.json["kind"] == "removal"
    assert second.json["task_id"] == first.json["task_id"]
    assert client.get(path).json["status"] == "deleting"
    assert [one["status"] for one in client.get(PATH).json["documents"]] == ["deleting"]
    assert client.get(f"/api/v1/tasks/{document['task_id']}").json["status"] == "cancelled"
    asked = client.post("/api/v1/chat/async", json={"message": "a", "documents": [document["document_id"]]})
    read_problem(asked, 422, "document_not_found")


def test_what_was_deleted_and_is_sent_again_is_another_document(client):
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
def test_a_removal_that_has_ended_in_vain_is_told_and_taken_up_again(client, hands, end, code):
    path = f"{PATH}/{send(client).json['document']['document_id']}"
    removal = client.delete(path).json["task_id"]
    assert client.get(path).json["error"] is None
    if end == "delete":
        client.delete(f"/api/v1/tasks/{removal}")
    else:
        getattr(hands, end)(removal)

    (listed,) = client.get(PATH).json["documents"]
    assert (listed["status"], listed["error"]["code"]) == ("deleting", code)
    again = client.delete(path).json
    assert again["status"] == "queued"
    assert client.get(path).json["task_id"] == again["task_id"]
    assert client.get(path).json["error"] is None


def test_a_cancelled_ingest_is_a_failed_document_and_an_upload_tries_again(client):
    document = send(client).json["document"]
    client.post(f"/api/v1/tasks/{document['task_id']}/cancel")

    failed = client.get(f"{PATH}/{document['document_id']}").json
    assert (failed["status"], failed["error"]["code"]) == ("failed", "ingest_cancelled")
    again = send(client)
    assert again.json["document"]["document_id"] == document["document_id"]
    assert again.json["document"]["status"] == "ingesting"
    assert again.json["task"]["status"] == "queued"


def test_a_document_whose_task_was_never_made_is_healed_by_the_next_upload(client, hands):
    """As after a web process that died between the two writes, or a queue that was full."""
    document = send(client).json["document"]
    client.delete(f"/api/v1/tasks/{document['task_id']}")

    assert client.get(f"{PATH}/{document['document_id']}").json["error"]["code"] == "ingest_lost"
    assert send(client).json["task"]["status"] == "queued"


def test_an_ingest_that_failed_says_why_also_when_its_task_is_forgotten(client, hands):
    document = send(client).json["document"]
    error = JobError(code="encrypted_document", message="it needs a password")
    hands.store.run(verbs.document.note_failed(document["document_id"], document["task_id"], error))
    client.delete(f"/api/v1/tasks/{document['task_id']}")

    failed = client.get(f"{PATH}/{document['document_id']}").json
    assert (failed["status"], failed["error"]) == ("failed", error.model_dump())


def test_only_what_is_ready_can_be_asked(client, hands, read_problem):
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]

    def ask():
        return client.post("/api/v1/tasks", json={"kind": "chat", "message": "a", "documents": [document_id]})

    read_problem(ask(), 422, "document_not_ready")
    client.post(f"/api/v1/tasks/{task_id}/cancel")
    assert read_problem(ask(), 422, "document_failed")["error"]["param"] == "documents[0]"
    note_ready(hands, document_id, task_id)
    assert ask().status_code == 202


def note_ready(hands, document_id, task_id, **found):
    facts = {"pages": 3, "chunks": 4, "no_text": (2,), "damaged": (3,), "embedding_model": "m"} | found
    assert hands.store.run(verbs.document.note_ready(document_id, task_id, **facts))


def test_a_ready_document_tells_its_pages_and_those_that_no_question_finds(client, hands):
    document = send(client).json["document"]
    note_ready(hands, document["document_id"], document["task_id"])

    shown = send(client)
    assert shown.status_code == 200
    ready = shown.json["document"]
    assert (ready["status"], ready["pages"], ready["pages_done"], ready["chunks"]) == ("ready", 3, 3, 4)
    assert ready["page_problems"] == [{"page": 2, "problem": "no_text"}, {"page": 3, "problem": "damaged"}]
    assert ready["problem_pages"] == 2


def test_of_a_document_full_of_problems_the_first_hundred_are_told(client, hands):
    """A book that was scanned on one side, in a list of a hundred such."""
    document = send(client).json["document"]
    no_text, damaged = tuple(range(2, 2_000, 2)), (3, 1_999)
    note_ready(hands, document["document_id"], document["task_id"], pages=2_000, no_text=no_text, damaged=damaged)

    ready = send(client).json["document"]
    assert ready["problem_pages"] == len(no_text) + len(damaged)
    assert [one["page"] for one in ready["page_problems"]] == [2, 3, *range(4, 200, 2)]


def test_the_task_tells_its_progress_too_alone_and_among_others(client, hands):
    """In pages; with another ETag for each step, and no more of it once the task has ended."""
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]
    path = f"/api/v1/tasks/{task_id}"
    run = hands.store.run
    hands.claim(task_id)
    before = client.get(path)
    assert run(verbs.document.note_progress(document_id, task_id, 1, 3))
    after = client.get(path, headers={"If-None-Match": before.headers["ETag"]})

    assert before.json["progress"] is None
    assert after.json["progress"] == {"pages_done": 1, "pages": 3}
    for listed in (client.get(f"/api/v1/tasks?ids={task_id}"), client.get("/api/v1/tasks")):
        assert listed.json["tasks"][0]["progress"] == {"pages_done": 1, "pages": 3}
    hands.cancel(task_id)
    assert run(verbs.document.note_progress(document_id, task_id, 2, 3))
    assert client.get(path).json["progress"] == {"pages_done": 1, "pages": 3}


def test_another_attempt_begins_its_progress_anew(client, hands):
    document = send(client).json["document"]
    document_id, task_id = document["document_id"], document["task_id"]
    hands.claim(task_id)
    hands.store.run(verbs.document.note_progress(document_id, task_id, 2, 3))

    assert hands.store.run(verbs.document.take(document_id, task_id)) == "taken"
    assert client.get(f"/api/v1/tasks/{task_id}").json["progress"] is None
    note_ready(hands, document_id, task_id)
    assert client.get(f"/api/v1/tasks/{task_id}").json["progress"] == {"pages_done": 3, "pages": 3}


def test_only_the_job_that_has_the_document_writes_to_it(client, hands):
    """A job that was cancelled, while another has taken its place, changes nothing any more."""
    document = send(client).json["document"]
    run, document_id, old = hands.store.run, document["document_id"], document["task_id"]

    assert run(verbs.document.pass_on(document_id, old, "job_new")) == "job_new"
    assert run(verbs.document.pass_on(document_id, old, "job_newer")) == "job_new"
    assert run(verbs.document.take(document_id, old)) == "another"
    assert not run(verbs.document.note_progress(document_id, old, 1, 2))
    assert not run(verbs.document.note_failed(document_id, old, JobError(code="a", message="b")))
    assert run(verbs.document.note_progress(document_id, "job_new", 1, 2))
    assert client.get(f"{PATH}/{document_id}").json["pages_done"] == 1


def test_what_is_ready_stays_ready_whatever_a_job_says_of_it(client, hands):
    """Its own, started once more, or one that comes from before."""
    document = send(client).json["document"]
    run, document_id, task_id = hands.store.run, document["document_id"], document["task_id"]
    note_ready(hands, document_id, task_id)
    ready = client.get(f"{PATH}/{document_id}").json

    assert run(verbs.document.take(document_id, task_id)) == "ready"
    assert run(verbs.document.take(document_id, "job_older")) == "ready"
    assert run(verbs.document.pass_on(document_id, task_id, "job_new")) == task_id
    run(verbs.document.note_progress(document_id, task_id, 1, 2))
    run(verbs.document.note_failed(document_id, task_id, JobError(code="a", message="b")))
    assert client.get(f"{PATH}/{document_id}").json == ready
    note_ready(hands, document_id, task_id)  # sent again, it is told the same


WRONG_DOCUMENTS = [
    ("ALL", "input should be 'all'"),
    ([], "must hold 1 at least"),
    ([UNKNOWN] * 101, "must hold 100 at most"),
]


@pytest.mark.parametrize(("documents", "said"), WRONG_DOCUMENTS)
def test_it_is_said_in_plain_words_what_documents_may_be(client, read_problem, documents, said):
    answer = client.post("/api/v1/chat/async", json={"message": "a", "documents": documents})

    assert read_problem(answer, 422, "invalid_request")["detail"] == f"documents: {said}"


@pytest.mark.parametrize(
    "documents", [[], ["doc_1"], ["job_" + "0" * 32], [UNKNOWN] * 101, "some", 1, [1], UNKNOWN, {"a": 1}]
)
def test_documents_that_are_no_list_of_ids_are_invalid(client, read_problem, documents):
    answer = client.post("/api/v1/chat/async", json={"message": "a", "documents": documents})

    assert read_problem(answer, 422, "invalid_request")["error"]["param"].startswith("documents")


def test_citations_are_in_the_chat_the_result_and_the_last_event(client, hands, submit_chat):
    cited = Citation(document_id=UNKNOWN, filename="a.pdf", page=2, quote="Canary.", score=0.5)
    job_id = submit_chat("hello")
    hands.complete(job_id, ChatAnswer(text="x [1]", model=None, finish_reason="stop", usage=None, citations=(cited,)))

    assert client.get(f"/api/v1/chat/jobs/{job_id}").json["citations"] == [cited.model_dump()]
    assert client.get(f"/api/v1/tasks/{job_id}/result").json["result"]["citations"] == [cited.model_dump()]
    assert '"citations":[{"document_id"' in client.get(f"/api/v1/chat/jobs/{job_id}/events").text
    assert "Canary" not in repr(cited)


def test_a_cancelled_ingest_has_no_partial_answer(client):
    """It has no text; its result can be read all the same."""
    task_id = send(client).json["task"]["task_id"]
    client.post(f"/api/v1/tasks/{task_id}/cancel")

    result = client.get(f"/api/v1/tasks/{task_id}/result")
    assert (result.status_code, result.json["status"], result.json["result"]) == (200, "cancelled", None)
    assert client.get(f"/api/v1/chat/jobs/{task_id}").status_code == 404
