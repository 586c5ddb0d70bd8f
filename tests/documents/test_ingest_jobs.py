"""An ingest is a job like any other: it survives its worker, is cancelled, retried, and leaves one set of chunks."""

import random
import signal
import time

import pytest

from documents.answering.prompting import NOT_IN_DOCUMENTS
from jobs.storage import keys
from tests.documents import in_process
from tests.documents.factories import make_pdf
from tests.documents.in_process import stored_files
from tests.offline import calls, key
from tests.waiting import until

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

KILLS = 10
LONG = [f"Page {number} tells of the ship number {number}.\n" * 30 for number in range(1, 121)]


def slow(name, words, pages=LONG):
    """A document whose first page makes the offline model slow or faulty each time it is embedded."""
    return make_pdf([f"[[offline key={name} {words}]] {pages[0]}", *pages[1:]])


def ingest_begun(documents_client, document_id):
    """It is being read: some of its pages are done, not all."""
    return until(lambda: documents_client.document(document_id)["pages_done"])


@pytest.mark.timeout(300)
def test_a_worker_killed_at_ten_random_moments_leaves_one_complete_set_of_chunks(env, documents_client, chunks, folder):
    """Whatever it was about: starting, reading, embedding, committing. No doubles, nothing half, no file left over."""
    rng = random.Random(7)
    document_id = documents_client.upload(make_pdf(LONG))[1]["document"]["document_id"]
    killed = 0
    while killed < KILLS and documents_client.document(document_id)["status"] == "ingesting":
        with in_process.worker(env) as worker:
            until(lambda: _is_running(documents_client, document_id) or None, 30)
            time.sleep(rng.uniform(0, 2.5))  # the moment is the test
            worker.send(signal.SIGKILL)
            killed += 1
    with in_process.worker(env):
        found = documents_client.wait_until_ingested(document_id, 90)
    assert found["status"] == "ready"
    held = chunks(document_id)
    assert [index for index, _ in held] == list(range(found["chunks"]))
    assert {page for _, page in held} == set(range(1, len(LONG) + 1))
    assert stored_files(folder) == [document_id]


def _is_running(documents_client, document_id):
    task_id = documents_client.document(document_id)["task_id"]
    return documents_client.call("GET", f"/tasks/{task_id}")[1]["status"] != "queued"


def test_progress_is_told_in_pages_while_it_runs(env, documents_client):
    """Held up in mid-ingest by a page that the model takes its time for."""
    pages = [*LONG[:60], f"[[offline delay=3 key={key()}]] late", *LONG[60:]]
    document_id = documents_client.upload(make_pdf(pages))[1]["document"]["document_id"]
    with in_process.worker(env):
        seen = until(lambda: _midway(documents_client, document_id))
        ready = documents_client.wait_until_ingested(document_id)

    assert seen["status"] == "ingesting"
    assert seen["pages"] == ready["pages"] == ready["pages_done"] == len(pages)
    progress = documents_client.call("GET", f"/tasks/{ready['task_id']}?wait=10")[1]["progress"]
    assert progress == {"pages_done": len(pages), "pages": len(pages)}


def _midway(documents_client, document_id):
    found = documents_client.document(document_id)
    return found if 0 < found["pages_done"] < (found["pages"] or 0) else None


def test_a_batch_that_fails_is_sent_again_and_costs_no_attempt(env, documents_client, model_url):
    """429 twice for the second batch: the first one's vectors are kept, the task is at its first attempt."""
    name = key()
    document_id = documents_client.upload(slow(name, "status=429 times=2"))[1]["document"]["document_id"]
    with in_process.worker(env):
        found = documents_client.wait_until_ingested(document_id)

    assert found["status"] == "ready"
    assert calls(model_url, name)["calls"] == 3
    task = documents_client.call("GET", f"/tasks/{found['task_id']}")[1]
    assert (task["attempts"], task["failed_attempts"]) == (1, [])
    assert task["usage"]["input_tokens"] > 0


def test_a_provider_that_refuses_fails_the_document_with_its_code(env, documents_client, model_url):
    name = key()
    document_id = documents_client.upload(slow(name, "status=401"))[1]["document"]["document_id"]
    with in_process.worker(env):
        found = documents_client.wait_until_ingested(document_id)

    assert (found["status"], found["error"]["code"]) == ("failed", "provider_auth_failed")
    assert calls(model_url, name)["calls"] == 1


def test_a_document_deleted_while_it_ingests_leaves_nothing(env, documents_client, chunks, folder, model_url):
    """Its call to the provider is closed within seconds; nothing of it is left once the removal has ended."""
    name = key()
    document_id = documents_client.upload(slow(name, "stall=0"))[1]["document"]["document_id"]
    with in_process.worker(env):
        until(lambda: calls(model_url, name)["open"])
        removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]
        until(lambda: not calls(model_url, name)["open"], 5)
        ended = documents_client.call("GET", f"/tasks/{removal['task_id']}?wait=20")[1]

        assert (ended["kind"], ended["status"]) == ("removal", "completed")
        assert documents_client.call("GET", f"/documents/{document_id}")[0] == 404
        assert chunks(document_id) == []
        assert stored_files(folder) == []


def test_a_document_deleted_and_sent_again_at_every_moment_ends_ready_and_whole(env, documents_client, chunks, folder):
    """Six rounds of upload and delete at a random moment: the last upload alone remains."""
    rng = random.Random(3)
    content = make_pdf(LONG)
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


def test_a_cancelled_ingest_stops_and_can_be_tried_again(env, documents_client, chunks, model_url):
    name = key()
    document = documents_client.upload(slow(name, "stall=0 times=1"))[1]["document"]
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


def test_a_document_kept_with_another_model_is_not_compared(env, documents_client, redis_client):
    """The question's vector would mean nothing to its chunks: the chat fails, and says which document to send again.

    One that is being removed is in nobody's way.
    """
    with in_process.worker(env):
        document_id = documents_client.upload_and_ingest(b"The wine of 1911 is red.", "wine.txt")
    with in_process.worker(env | {"OPENAI_API_KEY": "sk-x", "OPENAI_BASE_URL": _base_url(env)}):
        asked = [documents_client.ask("Which colour has the wine?", documents) for documents in ([document_id], "all")]
        redis_client.hset(keys.document(document_id), "state", "deleting")
        status, job = documents_client.ask("Which colour has the wine?", "all")

    for refused, problem in asked:
        assert (refused, problem["error"]["code"]) == (422, "embedding_model_changed")
        assert f"{document_id} with offline-words" in problem["error"]["message"]
    assert (status, job["answer"]) == (200, NOT_IN_DOCUMENTS)


def _base_url(env):
    return f"http://127.0.0.1:{env['CHATQUEUE_OFFLINE_MODEL_PORT']}/v1"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_documents_are_ingested_and_asked_on_every_pool(env, documents_client, pool):
    """LanceDB is loaded after the fork, in the process that uses it."""
    with in_process.worker(env, "-P", pool, "-c", "2"):
        document_id = documents_client.upload_and_ingest(b"The bell weighs nine tons.", "bell.txt")
        status, job = documents_client.ask("How much does the bell weigh?", [document_id])

    assert status == 200, job
    assert job["citations"][0]["quote"] == "The bell weighs nine tons."
