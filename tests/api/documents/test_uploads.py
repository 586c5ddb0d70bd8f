"""Uploads without a worker: accepted uploads, and rejected uploads that leave nothing behind."""

import errno
import io
import os
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs import document_lookup, queries
from jobs.storage import keys, transitions
from jobs.tenant import DEFAULT_TENANT
from tests.api.documents.sending import PATH, PDF, send

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)


def test_an_upload_is_answered_with_the_document_and_its_task(client, files):
    """The 202 response has the document, the task that ingests it, and a Location."""
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
    """The filename comes from the query, without control characters and folders."""
    name = {"filename": "../x/\x00a\n\u202e.md"}
    response = client.post(PATH, data="# Hello", content_type="text/markdown", query_string=name)

    assert response.status_code == 202
    assert (response.json["document"]["filename"], response.json["document"]["kind"]) == ("a.md", "markdown")


@pytest.mark.parametrize("content_type", ["text/plain", "text/csv", "text/html", "application/json"])
def test_a_text_may_be_the_body_with_its_charset(client, fake_worker, content_type):
    """The worker that reads the file gets the charset with the task."""
    response = client.post(PATH, data="Käufer".encode("latin-1"), content_type=f"{content_type}; charset=iso-8859-1")

    assert response.status_code == 202
    assert fake_worker.store.run(queries.request(response.json["task"]["task_id"])).charset == "iso-8859-1"


def test_a_file_of_a_form_may_declare_its_charset(client, fake_worker, read_problem):
    """As `curl -F 'file=@a.txt;type=text/plain;charset=koi8-r'` does. An unknown charset is refused."""

    def send_as(content_type):
        return client.post(PATH, data={"file": (io.BytesIO(b"\xed\xc1\xd1\xcb"), "a.txt", content_type)})

    read_problem(send_as("text/plain; charset=none"), 415, "unsupported_media_type")
    task = send_as("text/plain; charset=koi8-r").json["task"]["task_id"]
    assert fake_worker.store.run(queries.request(task)).charset == "koi8-r"


def test_a_filename_in_latin_1_is_read(client):
    """Old programs do not encode the names of files."""
    head = 'Content-Disposition: form-data; name="file"; filename="Käufer.txt"'.encode("latin-1")
    body = b"--x\r\n" + head + b"\r\n\r\nwords\r\n--x--\r\n"
    response = client.post(PATH, data=body, content_type="multipart/form-data; boundary=x")

    assert response.json["document"]["filename"] == "Käufer.txt"


def test_the_same_content_is_the_same_document_and_the_same_task(client, files):
    """Neither the filename nor the number of uploads makes a difference."""
    first, second = send(client), send(client, filename="other.pdf")

    assert second.json["document"] == first.json["document"]
    assert second.json["task"]["task_id"] == first.json["task"]["task_id"]
    assert len(files()) == 1


def test_ten_simultaneous_uploads_of_one_file_make_one_document(app, files, fake_worker):
    """Concurrent uploads also share one task and one stored file."""
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: send(app.test_client()), range(10)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["document"]["document_id"] for answer in answers}) == 1
    assert len({answer.json["task"]["task_id"] for answer in answers}) == 1
    assert len(files()) == 1
    assert len(fake_worker.store.run(queries.page(DEFAULT_TENANT, None, None, 100))) == 1


def test_an_upload_survives_the_deletion_of_its_document(client, files, monkeypatch):
    """A deletion between finding the document and reading it makes the upload a new document."""
    views, deleted = document_lookup.views, []

    def delete_first(store, document_ids):
        if len(deleted) < 3:
            monkeypatch.setattr(document_lookup, "views", views)
            deleted.append(client.delete(f"{PATH}/{document_ids[0]}").status_code)
            monkeypatch.setattr(document_lookup, "views", delete_first)
        return views(store, document_ids)

    monkeypatch.setattr(document_lookup, "views", delete_first)
    document = send(client).json["document"]

    assert deleted == [202, 202, 202]
    assert client.get(f"{PATH}/{document['document_id']}").json["status"] == "ingesting"
    assert files() == [document["document_id"]]


def test_an_upload_whose_document_is_always_deleted_is_503(client, monkeypatch, read_problem, files):
    """The number of tries is bounded, so the upload cannot loop forever."""
    monkeypatch.setattr(document_lookup, "views", lambda _, ids: [None for _ in ids])

    read_problem(send(client), 503, "store_unavailable")
    assert files() == []


def test_an_upload_restores_the_lost_file_of_a_failed_document(client, files, tmp_path):
    """The file of a document that is ready or being ingested is not replaced."""
    document = send(client).json["document"]
    stored_file = tmp_path / "documents" / "files" / document["document_id"]
    stored_file.unlink()

    send(client)
    assert not stored_file.exists()
    client.post(f"/api/v1/tasks/{document['task_id']}/cancel")
    send(client)
    assert stored_file.read_bytes() == PDF


def test_a_full_disk_is_507_and_a_later_upload_succeeds(client, monkeypatch, read_problem, files, caplog):
    """The failed upload leaves nothing that blocks the next one."""

    def fail_with_a_full_disk(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail_with_a_full_disk)
        assert read_problem(send(client), 507, "storage_full")["error"]["param"] is None
    assert "errno=ENOSPC" in caplog.text
    assert files() == []
    assert send(client).status_code == 202


def test_all_documents_together_have_a_limit_under_simultaneous_uploads(make_api, api_app, api_redis_port, tmp_path):
    """Of ten simultaneous uploads of 1,000 bytes three fit. The others leave no trace."""
    app = make_api(api_redis_port, data_dir=tmp_path, documents_max_bytes=3_999)

    with ThreadPoolExecutor(10) as pool:
        contents = [b"%d" % number * 1_000 for number in range(10)]
        answers = list(pool.map(lambda content: send(app.test_client(), content, "a.txt"), contents))

    stored = [answer.json["document"]["document_id"] for answer in answers if answer.status_code == 202]
    refused = [answer.json for answer in answers if answer.status_code == 507]
    assert (len(stored), len(refused)) == (3, 7)
    assert {answer["error"]["code"] for answer in refused} == {"storage_full"}
    assert "they would have 4000 bytes, and at most 3999 are allowed; delete documents" in refused[0]["detail"]
    assert sorted(path.name for path in (tmp_path / "documents").rglob("*") if path.is_file()) == sorted(stored)
    assert len(app.test_client().get(PATH).json["documents"]) == 3


def test_a_full_storage_accepts_what_it_has_and_what_fits_once_a_document_is_removed(
    make_api, api_app, api_redis_port, tmp_path, fake_worker
):
    """A deleted document counts until its data has been removed. A repeated removal counts once."""
    client = make_api(api_redis_port, data_dir=tmp_path, documents_max_bytes=1_500).test_client()
    document_id = send(client, b"a" * 1_000, "a.txt").json["document"]["document_id"]

    assert send(client, b"a" * 1_000, "again.txt").status_code == 202
    assert send(client, b"b" * 1_000, "b.txt").status_code == 507
    client.delete(f"{PATH}/{document_id}")
    assert send(client, b"b" * 1_000, "b.txt").status_code == 507
    record = fake_worker.store.run(queries.document(document_id))
    results = [fake_worker.store.run(transitions.document.purge(record)) for _ in range(2)]
    assert results == ["purged", "gone"]
    assert send(client, b"b" * 1_000, "b.txt").status_code == 202
    assert fake_worker.store.run(transitions.audit_sizes([DEFAULT_TENANT])) == (False, False)


BAD = {
    "empty": (b"", 422, "empty_document"),
    "neither pdf nor text": (b"\x89PNG\r\n\x1a\n\0\0\0", 415, "unsupported_document"),
    "too large": (b"a" * 200_001, 413, "document_too_large"),
    "far too large": (b"a" * 400_000, 413, "document_too_large"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_unsupported_file_is_rejected_without_a_trace(client, files, read_problem, name):
    """Neither a file nor a record remains."""
    content, status, code = BAD[name]

    assert read_problem(send(client, content), status, code)["error"]["param"] == "file"
    assert files() == []
    assert client.get(PATH).json["documents"] == []


MALFORMED = {
    "no file": b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n--b--\r\n",
    "no end": b"--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nabc",
    "no form": b"hello",
    "nothing": b"",
    "no disposition": b"--b\r\nX: y\r\n\r\n1\r\n--b--\r\n",
    "endless header": b"--b\r\n" + b"x" * 150_000,
    "many parts": b"--b\r\nContent-Disposition: form-data; name=x\r\n\r\n1\r\n" * 50,
    "two files": b"--b\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\nabc\r\n" * 2 + b"--b--\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_form_is_rejected_without_a_trace(client, files, read_problem, name):
    """Neither a file nor a record remains."""
    response = client.post(PATH, data=MALFORMED[name], content_type="multipart/form-data; boundary=b")

    read_problem(response, 400, "malformed_upload")
    assert files() == []


@pytest.mark.parametrize("content_type", ["application/zip", "image/png", "multipart/form-data", ""])
def test_a_body_of_another_type_is_rejected(client, read_problem, content_type):
    """Only forms with a boundary and the documented types of a file are read."""
    read_problem(client.post(PATH, data=b"x", content_type=content_type), 415, "unsupported_media_type")


@pytest.mark.slow
def test_fuzzed_forms_never_cause_a_server_error(client):
    """300 forms with flipped, removed and duplicated bytes, including the boundaries."""
    chance = random.Random(4)
    valid_form = b"--b\r\nContent-Disposition: form-data; name=f; filename=a.pdf\r\n\r\n" + PDF + b"\r\n--b--\r\n"
    for _ in range(300):
        body = bytearray(valid_form)
        for _ in range(chance.randint(1, 8)):
            at = chance.randrange(len(body))
            body[at : at + chance.choice([0, 1, 1, 30])] = chance.randbytes(chance.choice([0, 1, 1, 20]))
        response = client.post(PATH, data=bytes(body), content_type="multipart/form-data; boundary=b")
        assert response.status_code in (200, 202, 400, 413, 415, 422), response.text


def test_a_document_whose_record_is_lost_can_be_uploaded_again(client, redis_client_of_api):
    """What still refers to the lost record must not refuse the content for ever."""
    lost = send(client).json["document"]["document_id"]
    redis_client_of_api.delete(keys.document(lost))

    again = send(client)

    assert again.status_code == 202
    assert again.json["document"]["document_id"] != lost
