"""What a process leaves of a document when it is killed in between: cleared up later, and nothing that is wanted is."""

import asyncio
import http.client
import io
from contextlib import suppress

import pytest

from documents.opening import open_files
from jobs import keys, verbs
from jobs.async_store import AsyncStore
from jobs.connect import connect_async
from tasks.leftovers import Leftovers
from tasks.library import Library
from tests.documents import wired
from tests.documents.wired import stored_files
from tests.processes import PROJECT_ROOT
from tests.waiting import until

TEXT = b"The anchor weighs two tons."
UNKNOWN = "doc_" + "0" * 32


@pytest.fixture
def dying(env, folder):
    """The environment of a process that is killed at that place."""

    def at(place):
        path = f"{PROJECT_ROOT}/tests/documents/faults:{PROJECT_ROOT}"
        return env | {"PYTHONPATH": path, "DIES_AT": place, "DIES_IN": str(folder)}

    return at


@pytest.fixture
def an_hour_later(redis_client):
    """Whatever may be left over is due to be looked at."""

    def pass_time():
        for document_id in redis_client.zrange(keys.LEFTOVERS, 0, -1):
            redis_client.zadd(keys.LEFTOVERS, {document_id: 1})

    return pass_time


@pytest.fixture
def clear_up(settings, folder):
    """As a worker does once a minute."""
    mine = settings.model_copy(update={"data_dir": folder})

    async def tick():
        store = AsyncStore(connect_async(mine))
        try:
            await Leftovers("w", store, Library(mine)).tick()
        finally:
            await store.close()

    return lambda: asyncio.run(tick())


@pytest.fixture
def keep(settings, folder):
    """A file under a document's name, as an upload keeps it before there is a record."""

    def put(document_id):
        files = open_files(settings.model_copy(update={"data_dir": folder}))
        with files.receive(io.BytesIO(TEXT), 100) as received:
            files.keep(received, document_id)

    return put


def test_the_file_of_an_upload_that_was_killed_before_its_record_is_removed(
    env, dying, folder, an_hour_later, redis_client
):
    """By any worker, an hour later; sent again meanwhile, the content is a document all the same."""
    with wired.web(dying("keep")) as library, suppress(OSError, http.client.HTTPException):
        library.upload(TEXT, "anchor.txt")
    (orphan,) = stored_files(folder)

    with wired.web(env) as library:
        an_hour_later()
        with wired.worker(env):
            document_id = library.ingested(TEXT, "anchor.txt")
            until(lambda: orphan not in stored_files(folder))

        assert stored_files(folder) == [document_id]
        assert redis_client.zcard(keys.LEFTOVERS) == 0


def test_chunks_committed_after_the_deletion_by_a_worker_that_died_are_removed(
    env, library, dying, folder, chunks, an_hour_later, clear_up
):
    """Frozen before the commit, it knows nothing of the removal, which finds no chunks yet."""
    with wired.worker(dying("commit")) as worker:
        document_id = library.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
        until((folder / "frozen").exists)
        removal = library.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
        with wired.worker(env):
            assert library.call("GET", f"/tasks/{removal}?wait=30")[1]["status"] == "completed"
        (folder / "go_on").touch()
        until(lambda: worker.returncode is not None)
    assert chunks(document_id) != []

    clear_up()
    assert chunks(document_id) != []  # too early: another might be committing still
    an_hour_later()
    clear_up()
    assert chunks(document_id) == []


def test_a_file_that_is_being_uploaded_is_never_taken(store, keep, folder, clear_up):
    """However often somebody clears up between the file and its record."""
    store.run(verbs.document.announce(UNKNOWN))
    keep(UNKNOWN)

    clear_up()
    assert stored_files(folder) == [UNKNOWN]


def test_a_file_that_nobody_has_announced_is_never_taken(store, keep, folder, clear_up):
    """As after a Redis has lost its records: they may come back, the files would not."""
    keep(UNKNOWN)

    clear_up()
    assert stored_files(folder) == [UNKNOWN]


def test_what_has_a_record_is_wanted_whatever_was_announced(library, folder, redis_client, clear_up):
    document_id = library.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    redis_client.zadd(keys.LEFTOVERS, {document_id: 1})

    clear_up()
    assert stored_files(folder) == [document_id]
    assert redis_client.zcard(keys.LEFTOVERS) == 0


def test_a_deletion_whose_task_has_come_to_nothing_is_finished(library, folder, an_hour_later, clear_up):
    """As when the web process died before it made the task, or somebody cancelled it."""
    document_id = library.upload(TEXT, "anchor.txt")[1]["document"]["document_id"]
    removal = library.call("DELETE", f"/documents/{document_id}")[1]["task_id"]
    library.call("DELETE", f"/tasks/{removal}")
    an_hour_later()

    clear_up()
    assert stored_files(folder) == []
    assert library.call("GET", f"/documents/{document_id}")[0] == 404
