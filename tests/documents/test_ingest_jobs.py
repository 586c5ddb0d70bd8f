"""An ingest is a job like any other: it survives its worker, is cancelled, retried, and leaves one set of chunks."""

import asyncio
import random
import signal
import time

import pytest

from jobs.settings import Settings
from tests.documents import wired
from tests.documents.making import make_pdf
from tests.offline import calls, key
from tests.waiting import until

lancedb = pytest.importorskip("lancedb", reason="needs the extra chatqueue[documents]", exc_type=ImportError)

from documents.opening import open_chunks

KILLS = 10
LONG = [f"Page {number} tells of the ship number {number}.\n" * 30 for number in range(1, 121)]


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def env(redis_url, model_url, folder, redis_client):
    return wired.environment(redis_url, model_url, folder) | {"CHATQUEUE_MAX_DEATHS": "100"}


@pytest.fixture
def library(env):
    with wired.web(env) as library:
        yield library


@pytest.fixture
def chunks(folder):
    """The chunks that a document has in the table: index and page of each, in order."""

    async def read(document_id):
        table = await open_chunks(Settings(CHATQUEUE_DATA_DIR=folder, data_dir=folder))
        found = []
        for one in await table._tables():
            rows = await one.query().where(f"document_id = '{document_id}'").select(["index", "page"]).to_list()
            found += [(row["index"], row["page"]) for row in rows]
        return sorted(found)

    return lambda document_id: asyncio.run(read(document_id))


def stored_files(folder):
    return sorted(path.name for kind in ("files", "incoming") for path in (folder / "documents" / kind).glob("*"))


def slow(name, words, pages=LONG):
    """A document whose first page makes the offline model slow or faulty each time it is embedded."""
    return make_pdf([f"[[offline key={name} {words}]] {pages[0]}", *pages[1:]])


def begun(library, document_id):
    """It is being read: some of its pages are done, not all."""
    return until(lambda: library.document(document_id)["pages_done"])


@pytest.mark.timeout(300)
def test_a_worker_killed_at_ten_random_moments_leaves_one_complete_set_of_chunks(env, library, chunks, folder):
    """Whatever it was about: starting, reading, embedding, committing. No doubles, nothing half, no file left over."""
    chance = random.Random(7)
    document_id = library.upload(make_pdf(LONG))[1]["document"]["document_id"]
    killed = 0
    while killed < KILLS and library.document(document_id)["status"] == "ingesting":
        with wired.worker(env) as worker:
            until(lambda: _is_running(library, document_id) or None, 30)
            time.sleep(chance.uniform(0, 2.5))  # the moment is the test
            worker.send(signal.SIGKILL)
            killed += 1
    with wired.worker(env):
        found = library.settled(document_id, 90)
    assert found["status"] == "ready"
    held = chunks(document_id)
    assert [index for index, _ in held] == list(range(found["chunks"]))
    assert {page for _, page in held} == set(range(1, len(LONG) + 1))
    assert stored_files(folder) == [document_id]


def _is_running(library, document_id):
    task_id = library.document(document_id)["task_id"]
    return library.call("GET", f"/tasks/{task_id}")[1]["status"] != "queued"
