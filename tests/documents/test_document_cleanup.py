"""Data of a deleted document that a killed process leaves is removed later; live data never is."""

import asyncio
import http.client
import io
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from documents.chunks import index_maintenance
from documents.factory import open_chunk_table, open_files
from jobs.storage import keys
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from tasks.document_storage import DocumentStorage
from tasks.maintenance.document_cleanup import DocumentCleanup
from tests.documents import in_process
from tests.documents.in_process import stored_files
from tests.support.processes import PROJECT_ROOT
from tests.support.waiting import until

TEXT = b"The anchor weighs two tons."
UNKNOWN = "doc_" + "0" * 32
MINUTE, HOUR = 60, 3_600


@pytest.fixture
def env_crashing_at(env, folder):
    """Returns the environment of a process that is killed at the given point (see faults/sitecustomize.py)."""

    def crashing_at(point):
        path = f"{PROJECT_ROOT}/tests/documents/faults:{PROJECT_ROOT}"
        return env | {"PYTHONPATH": path, "CRASH_AT": point, "CRASH_FOLDER": str(folder)}

    return crashing_at


@pytest.fixture
def advance_time(redis_client):
    """Moves all tombstones back in time, so that those due within the given seconds are due now."""

    def advance(seconds):
        for document_id in redis_client.zrange(keys.TOMBSTONES, 0, -1):
            redis_client.zincrby(keys.TOMBSTONES, -seconds * 1000, document_id)

    return advance


@pytest.fixture
def run_cleanup(settings, folder):
    """Runs the clean-up that a worker runs once a minute."""
    worker_settings = settings.model_copy(update={"data_dir": folder})

    async def tick():
        store = AsyncStore(connect_async(worker_settings))
        storage = DocumentStorage(worker_settings, store, "w")
        in_this_process: Any = await open_chunk_table(worker_settings)  # where a test can change constants
        storage.writer = in_this_process
        try:
            await DocumentCleanup("w", store, storage).tick()
        finally:
            await store.close()

    return lambda: asyncio.run(tick())


@pytest.fixture
def save_file(settings, folder):
    """Saves a file under a document's id, as an upload does before the record exists."""

    def save(document_id):
        files = open_files(settings.model_copy(update={"data_dir": folder}))
        with files.receive(io.BytesIO(TEXT), 100) as upload:
            files.save(upload, document_id)

    return save


def test_an_upload_whose_process_was_killed_is_repaired_by_another_upload(env, env_crashing_at, folder, redis_client):
    """The process dies after saving the file and before creating the task; the file already has a document record."""
    with in_process.web(env_crashing_at("save")) as documents_client, suppress(OSError, http.client.HTTPException):
        documents_client.upload(TEXT, "anchor.txt")
    (document_id,) = stored_files(folder)

    redis_client.hset(keys.document(document_id), mapping={"created_at_ms": 1, "assigned_at_ms": 1})  # some time later
    with in_process.web(env) as documents_client:
        document = documents_client.document(document_id)
        with in_process.worker(env):
            assert documents_client.upload_and_ingest(TEXT, "anchor.txt") == document_id

    assert (document["status"], document["error"]["code"]) == ("failed", "ingest_lost")
    assert stored_files(folder) == [document_id]
    assert redis_client.zcard(keys.TOMBSTONES) == 0


def test_chunks_committed_after_the_deletion_by_a_dead_worker_are_removed(
    env, documents_client, env_crashing_at, folder, chunks, advance_time, run_cleanup, redis_client
):
    """The worker is frozen before its commit, so it does not notice the removal, which finds no chunks yet."""
    with in_process.worker(env_crashing_at("commit")) as worker:
        document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
        until((folder / "frozen").exists)
        removal = documents_client.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
        with in_process.worker(env):
            assert documents_client.call("GET", f"/tasks/{removal}?wait=30")[1]["status"] == "completed"
        (folder / "continue").touch()
        until(lambda: worker.returncode is not None)
    assert chunks(document_id) != []

    advance_time(MINUTE)
    run_cleanup()
    assert chunks(document_id) != []  # too early: another process might still commit
    advance_time(HOUR)
    run_cleanup()
    assert chunks(document_id) == []
    assert redis_client.zcard(keys.TOMBSTONES) == 0


def test_an_hour_after_the_deletion_the_text_is_gone_from_the_disk(
    env, documents_client, folder, advance_time, run_cleanup, monkeypatch
):
    """Files of the table that no search reads are deleted too, even if nothing else was written during that hour."""
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


def files_with(content, folder):
    return [path for path in (folder / "documents").rglob("*") if path.is_file() and content in path.read_bytes()]


def test_a_file_saved_after_the_deletion_is_removed(documents_client, folder, save_file, advance_time, run_cleanup):
    """A slow upload had found the document before it was deleted."""
    document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    documents_client.call("DELETE", f"/documents/{document_id}")
    advance_time(MINUTE)
    run_cleanup()
    save_file(document_id)

    run_cleanup()
    assert stored_files(folder) == [document_id]  # too early: another upload might be even slower
    advance_time(HOUR)
    run_cleanup()
    assert stored_files(folder) == []


def test_a_file_without_a_tombstone_is_never_removed(save_file, folder, advance_time, run_cleanup):
    """If Redis loses its records, they may be restored from a backup; the files could not."""
    save_file(UNKNOWN)

    advance_time(HOUR)
    run_cleanup()
    assert stored_files(folder) == [UNKNOWN]


def test_a_live_document_is_never_removed(documents_client, folder, redis_client, run_cleanup):
    """A stale tombstone of a live document is dropped, and its file stays."""
    document_id = documents_client.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    redis_client.zadd(keys.TOMBSTONES, {document_id: 1})

    run_cleanup()
    assert stored_files(folder) == [document_id]
    assert redis_client.zcard(keys.TOMBSTONES) == 0


def test_a_deletion_whose_task_was_lost_is_completed_a_minute_later(
    documents_client, folder, advance_time, run_cleanup
):
    """The web process may have died before it created the task, or a user may have cancelled it."""
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


def test_a_failed_removal_is_retried_and_does_not_delay_others(documents_client, folder, advance_time, run_cleanup):
    """The first document has a file that cannot be deleted; once it can, the next run removes it."""
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
