"""An ingest is an ordinary job: it survives its worker, can be cancelled and retried, and leaves one set of chunks."""

import random
import signal
import time

import pytest

from documents.answering.refusals import NOT_IN_DOCUMENTS
from jobs.storage import keys
from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.documents.in_process import stored_files
from tests.support.offline_model import calls, key
from tests.support.waiting import until

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

KILLS = 10
LONG_DOCUMENT = [f"Page {number} tells of the ship number {number}.\n" * 30 for number in range(1, 121)]


def pdf_with_directive(name, directive, pages=LONG_DOCUMENT):
    """A PDF whose first page contains a directive that the offline model obeys whenever it is embedded."""
    return make_pdf([f"[[offline key={name} {directive}]] {pages[0]}", *pages[1:]])


@pytest.mark.timeout(300)
def test_a_worker_killed_at_ten_random_moments_leaves_one_complete_set_of_chunks(env, documents_client, chunks, folder):
    """Kills while starting, reading, embedding or committing leave no duplicates, no partial set and no extra file."""
    rng = random.Random(7)
    document_id = documents_client.upload(make_pdf(LONG_DOCUMENT))[1]["document"]["document_id"]
    killed = 0
    while killed < KILLS and documents_client.document(document_id)["status"] == "ingesting":
        with in_process.worker(env) as worker:
            until(lambda: _is_running(documents_client, document_id) or None, 30)
            time.sleep(rng.uniform(0, 2.5))  # the moment is the test
            worker.send(signal.SIGKILL)
            killed += 1
    with in_process.worker(env):
        document = documents_client.wait_until_ingested(document_id, 90)
    assert document["status"] == "ready"
    positions = chunks(document_id)
    assert [index for index, _ in positions] == list(range(document["chunks"]))
    assert {page for _, page in positions} == set(range(1, len(LONG_DOCUMENT) + 1))
    assert stored_files(folder) == [document_id]


def _is_running(documents_client, document_id):
    task_id = documents_client.document(document_id)["task_id"]
    return documents_client.call("GET", f"/tasks/{task_id}")[1]["status"] != "queued"


def test_progress_is_reported_in_pages_while_an_ingest_runs(env, documents_client):
    """The document and its task show the pages done; a page that the model embeds slowly keeps the ingest running."""
    pages = [*LONG_DOCUMENT[:60], f"[[offline delay=3 key={key()}]] late", *LONG_DOCUMENT[60:]]
    document_id = documents_client.upload(make_pdf(pages))[1]["document"]["document_id"]
    with in_process.worker(env):
        partial = until(lambda: _partly_ingested(documents_client, document_id))
        ready = documents_client.wait_until_ingested(document_id)

    assert partial["status"] == "ingesting"
    assert partial["pages"] == ready["pages"] == ready["pages_done"] == len(pages)
    progress = documents_client.call("GET", f"/tasks/{ready['task_id']}?wait=10")[1]["progress"]
    assert progress == {"pages_done": len(pages), "pages": len(pages)}


def _partly_ingested(documents_client, document_id):
    document = documents_client.document(document_id)
    return document if 0 < document["pages_done"] < (document["pages"] or 0) else None


def test_a_failed_batch_is_retried_without_another_attempt(env, documents_client, model_url):
    """Two 429 errors for the second batch: the vectors of the first are kept, and the task is on its first attempt."""
    name = key()
    document_id = documents_client.upload(pdf_with_directive(name, "status=429 times=2"))[1]["document"]["document_id"]
    with in_process.worker(env):
        document = documents_client.wait_until_ingested(document_id)

    assert document["status"] == "ready"
    assert calls(model_url, name)["calls"] == 3
    task = documents_client.call("GET", f"/tasks/{document['task_id']}")[1]
    assert (task["attempts"], task["failed_attempts"]) == (1, [])
    assert task["usage"]["input_tokens"] > 0


def test_a_provider_error_fails_the_document_with_its_code(env, documents_client, model_url):
    """An error that is not transient is not retried."""
    name = key()
    document_id = documents_client.upload(pdf_with_directive(name, "status=401"))[1]["document"]["document_id"]
    with in_process.worker(env):
        document = documents_client.wait_until_ingested(document_id)

    assert (document["status"], document["error"]["code"]) == ("failed", "provider_auth_failed")
    assert calls(model_url, name)["calls"] == 1


def test_deleting_a_document_during_its_ingest_leaves_no_data(env, documents_client, chunks, folder, model_url):
    """The call to the provider is closed within seconds, and no data is left when the removal has completed."""
    name = key()
    document_id = documents_client.upload(pdf_with_directive(name, "stall=0"))[1]["document"]["document_id"]
    with in_process.worker(env):
        until(lambda: calls(model_url, name)["open"])
        removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]
        until(lambda: not calls(model_url, name)["open"], 5)
        removal_task = documents_client.call("GET", f"/tasks/{removal['task_id']}?wait=20")[1]

        assert (removal_task["kind"], removal_task["status"]) == ("removal", "completed")
        assert documents_client.call("GET", f"/documents/{document_id}")[0] == 404
        assert chunks(document_id) == []
        assert stored_files(folder) == []


def test_a_document_deleted_and_uploaded_repeatedly_ends_ready_and_complete(env, documents_client, chunks, folder):
    """Six uploads, each deleted at a random moment: only the last upload remains."""
    rng = random.Random(3)
    content = make_pdf(LONG_DOCUMENT)
    with in_process.worker(env):
        for _ in range(6):
            document_id = documents_client.upload(content)[1]["document"]["document_id"]
            time.sleep(rng.uniform(0, 1.5))  # the moment is the test
            removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]
        last = documents_client.upload_and_ingest(content)
        assert documents_client.call("GET", f"/tasks/{removal['task_id']}?wait=20")[1]["status"] == "completed"
        until(lambda: stored_files(folder) == [last])

        assert len(chunks(last)) == documents_client.document(last)["chunks"]
        assert chunks(document_id) == []


def test_a_cancelled_ingest_stops_and_can_be_retried(env, documents_client, chunks, model_url):
    """The call to the provider is closed within seconds, and a retry of the task makes the document ready."""
    name = key()
    document = documents_client.upload(pdf_with_directive(name, "stall=0 times=1"))[1]["document"]
    with in_process.worker(env):
        until(lambda: calls(model_url, name)["open"])
        documents_client.call("POST", f"/tasks/{document['task_id']}/cancel")
        until(lambda: not calls(model_url, name)["open"], 5)
        cancelled = documents_client.document(document["document_id"])
        retried = documents_client.call("POST", f"/tasks/{document['task_id']}/retry")[1]
        until(lambda: documents_client.document(document["document_id"])["status"] == "ready", 30)

    assert (cancelled["status"], cancelled["error"]["code"]) == ("failed", "ingest_cancelled")
    assert documents_client.document(document["document_id"])["task_id"] == retried["task_id"]
    assert len(chunks(document["document_id"])) == documents_client.document(document["document_id"])["chunks"]


def test_a_document_stored_with_another_model_is_not_searched(env, documents_client, redis_client, chunks):
    """Its vectors cannot be compared with the question's, so the chat fails and names the document to ingest again.

    Ingested again from its stored file, it answers. A document that is being deleted does not cause this error.
    """
    with in_process.worker(env):
        document_id = documents_client.upload_and_ingest(b"The wine of 1911 is red.", "wine.txt")
    with in_process.worker(env | {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": _base_url(env)}):
        refusals = [documents_client.ask("Which colour has the wine?", scope) for scope in ([document_id], "all")]
        assert documents_client.call("POST", f"/documents/{document_id}/ingest")[0] == 202
        renewed = documents_client.wait_until_ingested(document_id)
        answer = documents_client.ask("Which colour has the wine?", [document_id])[1]
        found = chunks(document_id)
        redis_client.hset(keys.document(document_id), "state", "deleting")
        status, job = documents_client.ask("Which colour has the wine?", "all")

    for refusal_status, problem in refusals:
        assert (refusal_status, problem["error"]["code"]) == (422, "embedding_model_changed")
        assert f"{document_id} with offline-words" in problem["error"]["message"]
    assert (renewed["status"], renewed["embedding_model"]) == ("ready", "text-embedding-3-small")
    assert answer["citations"][0]["document_id"] == document_id
    assert found == [(0, 1)]
    assert (status, job["answer"]) == (200, NOT_IN_DOCUMENTS)


def _base_url(env):
    return f"http://127.0.0.1:{env['CHATQUEUE_OFFLINE_MODEL_PORT']}/v1"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_documents_are_ingested_and_asked_in_every_worker_pool(env, documents_client, pool):
    """LanceDB is loaded after the fork, in the process that uses it."""
    with in_process.worker(env, "-P", pool, "-c", "2"):
        document_id = documents_client.upload_and_ingest(b"The anchor weighs nine tons.", "anchor.txt")
        status, job = documents_client.ask("How much does the anchor weigh?", [document_id])

    assert status == 200, job
    assert job["citations"][0]["quote"] == "The anchor weighs nine tons."
