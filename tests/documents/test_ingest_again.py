"""Repeated ingests: late retries, lost files, and errors for which a retry would only cost money."""

import resource

import psutil
import pytest

from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.documents.in_process import stored_files
from tests.support.offline_model import calls, key

SMALL_FILES = 100_000  # bytes; more than intermediate files need, less than the chunks need


def pdf_refused_once(name, pages=1):
    """A PDF whose first embedding call fails with 401."""
    texts = [f"The anchor {number} weighs nine tons.\n" * 20 for number in range(pages)]
    return make_pdf([f"[[offline key={name} status=401 times=1]] {texts[0]}", *texts[1:]])


def test_a_late_retry_of_a_failed_ingest_leaves_the_ready_document_unchanged(env, documents_client, chunks, model_url):
    """The content was uploaded again in the meantime, so the retry must not pay for the embeddings again."""
    name = key()
    with in_process.worker(env):
        failed = documents_client.wait_until_ingested(
            documents_client.upload(pdf_refused_once(name))[1]["document"]["document_id"]
        )
        document_id = documents_client.upload_and_ingest(pdf_refused_once(name))
        ready, calls_before = documents_client.document(document_id), calls(model_url, name)["calls"]
        late = documents_client.call("POST", f"/tasks/{failed['task_id']}/retry")[1]["task_id"]
        result = documents_client.call("GET", f"/tasks/{late}/result?wait=30")[1]

    assert failed["error"]["message"].endswith(
        "check the provider's key"
    )  # the message ends with the advice of its code
    assert (result["status"], result["result"]["chunks"]) == ("completed", ready["chunks"])
    assert calls(model_url, name)["calls"] == calls_before
    assert documents_client.document(document_id) == ready
    assert len(chunks(document_id)) == ready["chunks"]


def test_a_retried_ingest_leaves_the_document_to_its_owner_task(env, documents_client, model_url):
    """Two tasks never ingest one document: the retry finds it ready or owned by the other task."""
    name = key()
    with in_process.worker(env):
        failed = documents_client.wait_until_ingested(
            documents_client.upload(pdf_refused_once(name))[1]["document"]["document_id"]
        )
    running = documents_client.upload(pdf_refused_once(name))[1]["task"]["task_id"]  # no worker runs yet
    late = documents_client.call("POST", f"/tasks/{failed['task_id']}/retry")[1]["task_id"]
    with in_process.worker(env):
        ready = documents_client.wait_until_ingested(failed["document_id"])
        late_task = documents_client.call("GET", f"/tasks/{late}?wait=30")[1]

    assert (ready["status"], ready["task_id"]) == ("ready", running)
    assert late_task["status"] == "completed" or late_task["error_code"] == "document_taken"


def test_a_document_whose_file_was_lost_is_repaired_by_another_upload(env, documents_client, folder):
    """The retry fails with file_lost; an upload of the same content saves the file again."""
    name = key()
    with in_process.worker(env):
        failed = documents_client.wait_until_ingested(
            documents_client.upload(pdf_refused_once(name))[1]["document"]["document_id"]
        )
        (folder / "documents" / "files" / failed["document_id"]).unlink()
        late = documents_client.call("POST", f"/tasks/{failed['task_id']}/retry")[1]["task_id"]
        late_task = documents_client.call("GET", f"/tasks/{late}?wait=30")[1]
        document = documents_client.document(failed["document_id"])

        assert (late_task["error_code"], document["error"]["code"]) == ("file_lost", "file_lost")
        assert documents_client.upload_and_ingest(pdf_refused_once(name)) == failed["document_id"]
    assert stored_files(folder) == [failed["document_id"]]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_full_disk_fails_an_ingest_without_a_retry(env, documents_client, model_url):
    """Each attempt would pay for all embeddings again, and none could succeed."""
    name = key()
    with in_process.worker(env) as worker:
        documents_client.upload_and_ingest(b"The table is made.", "first.txt")
        for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)):
            process.rlimit(psutil.RLIMIT_FSIZE, (SMALL_FILES, SMALL_FILES))
        pages = [f"The anchor {number} weighs {number} tons.\n" * 20 for number in range(60)]
        book = make_pdf([f"[[offline key={name} status=429 times=1]] {pages[0]}", *pages])
        failed = documents_client.wait_until_ingested(documents_client.upload(book)[1]["document"]["document_id"])
        task = documents_client.call("GET", f"/tasks/{failed['task_id']}?wait=30")[1]

    assert (failed["status"], failed["error"]["code"]) == ("failed", "storage_full")
    assert task["attempts"] == 1
    assert calls(model_url, name)["calls"] == 2  # refused once, then embedded once
    assert "errno=EFBIG" in worker.output
