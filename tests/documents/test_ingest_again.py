"""An ingest that is done once more: by a late task, after a loss, and not at all where it would be paid for in vain."""

import resource

import psutil
import pytest

from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.documents.in_process import stored_files
from tests.offline import calls, key

SMALL_FILES = 100_000  # bytes; above what is written on the way, below what the chunks take


def refused_once(name, pages=1):
    text = [f"The bell {number} weighs nine tons.\n" * 20 for number in range(pages)]
    return make_pdf([f"[[offline key={name} status=401 times=1]] {text[0]}", *text[1:]])


def test_a_failed_ingest_that_is_retried_late_leaves_the_ready_document_as_it_is(env, library, chunks, model_url):
    """The content was uploaded again meanwhile: there is nothing to do, and nothing to pay for."""
    name = key()
    with in_process.worker(env):
        failed = library.settled(library.upload(refused_once(name))[1]["document"]["document_id"])
        document_id = library.ingested(refused_once(name))
        ready, paid = library.document(document_id), calls(model_url, name)["calls"]
        late = library.call("POST", f"/tasks/{failed['task_id']}/retry")[1]["task_id"]
        ended = library.call("GET", f"/tasks/{late}/result?wait=30")[1]

    assert failed["error"]["message"].endswith("see OPENAI_API_KEY")  # its own advice is the last word
    assert (ended["status"], ended["result"]["chunks"]) == ("completed", ready["chunks"])
    assert calls(model_url, name)["calls"] == paid
    assert library.document(document_id) == ready
    assert len(chunks(document_id)) == ready["chunks"]


def test_a_retried_ingest_leaves_a_document_to_the_task_that_has_it(env, library, model_url):
    name = key()
    with in_process.worker(env):
        failed = library.settled(library.upload(refused_once(name))[1]["document"]["document_id"])
    running = library.upload(refused_once(name))[1]["task"]["task_id"]  # nobody does it yet
    late = library.call("POST", f"/tasks/{failed['task_id']}/retry")[1]["task_id"]
    with in_process.worker(env):
        ready = library.settled(failed["document_id"])
        ended = library.call("GET", f"/tasks/{late}?wait=30")[1]

    assert (ready["status"], ready["task_id"]) == ("ready", running)
    assert ended["status"] == "completed" or ended["error_code"] == "document_taken"


def test_a_document_whose_file_was_lost_is_ready_once_it_is_sent_again(env, library, folder):
    name = key()
    with in_process.worker(env):
        failed = library.settled(library.upload(refused_once(name))[1]["document"]["document_id"])
        (folder / "documents" / "files" / failed["document_id"]).unlink()
        late = library.call("POST", f"/tasks/{failed['task_id']}/retry")[1]["task_id"]
        lost = library.call("GET", f"/tasks/{late}?wait=30")[1]
        told = library.document(failed["document_id"])

        assert (lost["error_code"], told["error"]["code"]) == ("file_lost", "file_lost")
        assert library.ingested(refused_once(name)) == failed["document_id"]
    assert stored_files(folder) == [failed["document_id"]]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_full_disk_fails_an_ingest_at_once_and_its_chunks_are_paid_for_once(env, library, model_url):
    """Its process may write small files only; another attempt would embed everything again."""
    name = key()
    with in_process.worker(env) as worker:
        library.ingested(b"The table is made.", "first.txt")
        for process in (psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)):
            process.rlimit(psutil.RLIMIT_FSIZE, (SMALL_FILES, SMALL_FILES))
        pages = [f"The bell {number} weighs {number} tons.\n" * 20 for number in range(60)]
        book = make_pdf([f"[[offline key={name} status=429 times=1]] {pages[0]}", *pages])
        failed = library.settled(library.upload(book)[1]["document"]["document_id"])
        task = library.call("GET", f"/tasks/{failed['task_id']}?wait=30")[1]

    assert (failed["status"], failed["error"]["code"]) == ("failed", "storage_full")
    assert task["attempts"] == 1
    assert calls(model_url, name)["calls"] == 2  # refused once, and then embedded once
    assert "errno=EFBIG" in worker.output
