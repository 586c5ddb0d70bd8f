"""What a process leaves of a document when it is killed in between: cleared up later, and nothing that is wanted is."""

import asyncio
import http.client
import io
from contextlib import suppress
from datetime import timedelta

import pytest

from documents.chunks import index_maintenance
from documents.factory import open_files
from jobs.storage import keys
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from tasks.document_storage import DocumentStorage
from tasks.maintenance.document_cleanup import DocumentCleanup
from tests.documents import in_process
from tests.documents.in_process import stored_files
from tests.processes import PROJECT_ROOT
from tests.waiting import until

TEXT = b"The anchor weighs two tons."
UNKNOWN = "doc_" + "0" * 32
MINUTE, HOUR = 60, 3_600


@pytest.fixture
def env_dying_at(env, folder):
    """The environment of a process that is killed at that place."""

    def at(place):
        path = f"{PROJECT_ROOT}/tests/documents/faults:{PROJECT_ROOT}"
        return env | {"PYTHONPATH": path, "DIES_AT": place, "DIES_IN": str(folder)}

    return at


@pytest.fixture
def advance_time(redis_client):
    """So many seconds later: what is to be looked at by then is due."""

    def advance(seconds):
        for document_id in redis_client.zrange(keys.TOMBSTONES, 0, -1):
            redis_client.zincrby(keys.TOMBSTONES, -seconds * 1000, document_id)

    return advance


@pytest.fixture
def run_cleanup(settings, folder):
    """As a worker does once a minute."""
    mine = settings.model_copy(update={"data_dir": folder})

    async def tick():
        store = AsyncStore(connect_async(mine))
        try:
            await DocumentCleanup("w", store, DocumentStorage(mine)).tick()
        finally:
            await store.close()

    return lambda: asyncio.run(tick())


@pytest.fixture
def save_file(settings, folder):
    """A file under a document's name, as an upload keeps it before there is a record."""

    def save(document_id):
        files = open_files(settings.model_copy(update={"data_dir": folder}))
        with files.receive(io.BytesIO(TEXT), 100) as upload:
            files.save(upload, document_id)

    return save


def test_an_upload_that_was_killed_is_a_document_that_says_so_and_is_ingested_when_sent_again(
    env, env_dying_at, folder, redis_client
):
    """Killed when its file is kept and no task is made: there is no file without a record."""
    with in_process.web(env_dying_at("keep")) as documents_client, suppress(OSError, http.client.HTTPException):
        documents_client.upload(TEXT, "anchor.txt")
    (document_id,) = stored_files(folder)

    with in_process.web(env) as documents_client:
        document = documents_client.document(document_id)
        with in_process.worker(env):
            assert documents_client.upload_and_ingest(TEXT, "anchor.txt") == document_id

    assert (document["status"], document["error"]["code"]) == ("failed", "ingest_lost")
    assert stored_files(folder) == [document_id]
    assert redis_client.zcard(keys.TOMBSTONES) == 0


def test_chunks_committed_after_the_deletion_by_a_worker_that_died_are_removed(
    env, documents_client, env_dying_at, folder, chunks, advance_time, run_cleanup, redis_client
):
    """Frozen before the commit, it knows nothing of the removal, which finds no chunks yet."""
    with in_process.worker(env_dying_at("commit")) as worker:
        document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
        until((folder / "frozen").exists)
        removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
        with in_process.worker(env):
            assert documents_client.call("GET", f"/tasks/{removal}?wait=30")[1]["status"] == "completed"
        (folder / "go_on").touch()
        until(lambda: worker.returncode is not None)
    assert chunks(document_id) != []

    advance_time(MINUTE)
    run_cleanup()
    assert chunks(document_id) != []  # too early: another might be committing still
    advance_time(HOUR)
    run_cleanup()
    assert chunks(document_id) == []
    assert redis_client.zcard(keys.TOMBSTONES) == 0


def test_an_hour_after_the_deletion_the_text_is_on_no_disk_any_more(
    env, documents_client, folder, advance_time, run_cleanup, monkeypatch
):
    """Not even in a file of the table that no search looks into, as if nothing else had been written for that hour."""
    monkeypatch.setattr(index_maintenance, "_VERSION_RETENTION", timedelta(milliseconds=1))
    with in_process.worker(env):
        document_id = documents_client.upload_and_ingest(b"The anchor weighs two xylotons.", "anchor.txt")
        documents_client.upload_and_ingest(b"The lamp burns all night.", "lamp.txt")
        documents_client.call("DELETE", f"/documents/{document_id}")
        until(lambda: documents_client.call("GET", f"/documents/{document_id}")[0] == 404)
    assert files_with(b"xylotons", folder)

    advance_time(HOUR)
    run_cleanup()
    assert files_with(b"xylotons", folder) == []
    assert files_with(b"all night", folder)


def files_with(words, folder):
    return [path for path in (folder / "documents").rglob("*") if path.is_file() and words in path.read_bytes()]


def test_a_file_kept_after_the_deletion_is_removed(documents_client, folder, save_file, advance_time, run_cleanup):
    """By an upload that had found the document before, and was slow."""
    document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    documents_client.call("DELETE", f"/documents/{document_id}")
    advance_time(MINUTE)
    run_cleanup()
    save_file(document_id)

    run_cleanup()
    assert stored_files(folder) == [document_id]  # too early: another might be slower still
    advance_time(HOUR)
    run_cleanup()
    assert stored_files(folder) == []


def test_a_file_that_nobody_has_deleted_is_never_taken(save_file, folder, advance_time, run_cleanup):
    """As after a Redis has lost its records: they may come back, the files would not."""
    save_file(UNKNOWN)

    advance_time(HOUR)
    run_cleanup()
    assert stored_files(folder) == [UNKNOWN]


def test_what_is_wanted_is_never_taken(documents_client, folder, redis_client, run_cleanup):
    document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    redis_client.zadd(keys.TOMBSTONES, {document_id: 1})

    run_cleanup()
    assert stored_files(folder) == [document_id]
    assert redis_client.zcard(keys.TOMBSTONES) == 0


def test_a_deletion_whose_task_has_come_to_nothing_is_finished_a_minute_later(
    documents_client, folder, advance_time, run_cleanup
):
    """As when the web process died before it made the task, or somebody cancelled it."""
    document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
    documents_client.call("DELETE", f"/tasks/{removal}")
    run_cleanup()
    assert documents_client.document(document_id)["status"] == "deleting"

    advance_time(MINUTE)
    run_cleanup()
    assert stored_files(folder) == []
    assert documents_client.call("GET", f"/documents/{document_id}")[0] == 404
    assert documents_client.call("GET", "/documents")[1]["documents"] == []


def test_what_cannot_be_removed_is_tried_again_and_holds_up_no_other(
    documents_client, folder, advance_time, run_cleanup
):
    """Its file is something that cannot be deleted; once it can, it is."""
    stuck = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    other = documents_client.upload(b"Another.", "other.txt")[1]["document"]["document_id"]
    file = folder / "documents" / "files" / stuck
    file.unlink()
    file.mkdir()
    for document_id in (stuck, other):
        documents_client.call("DELETE", f"/documents/{document_id}")
    advance_time(MINUTE)

    run_cleanup()
    assert documents_client.call("GET", f"/documents/{other}")[0] == 404
    assert documents_client.document(stuck)["status"] == "deleting"
    file.rmdir()
    run_cleanup()
    assert documents_client.call("GET", f"/documents/{stuck}")[0] == 404
