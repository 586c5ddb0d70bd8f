"""An ingest may end anywhere and run again: one complete set of chunks remains, no doubles, nothing half."""

import asyncio
import multiprocessing
import random
import time

import psutil
import pytest

from documents.chunks.table import ChunkTable
from documents.errors import NoText
from documents.ingesting import IngestJob, ingest
from documents.reading.text_reader import TextReader
from tests.documents.conftest import LIMITS, MODEL, SIZE, embed_by_hashing
from tests.documents.factories import make_pdf

PAGES = [f"Page {number} speaks of the wine of year {1900 + number}.\n" * 40 for number in range(1, 61)]


async def ignore_progress(_done: int, _count: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "wine.pdf"
    path.write_bytes(make_pdf(PAGES))
    return IngestJob("doc_a", "t", path, "pdf", MODEL.name)


async def run(table, job, embed=embed_by_hashing, progress=ignore_progress):
    return await ingest(job, TextReader(1, LIMITS, SIZE), table, embed, progress)


def test_an_ingest_says_what_it_found_and_leaves_it_in_the_table(with_table, job):
    async def work(table):
        return await run(table, job), await table.count("doc_a")

    ingested, count = with_table(work)
    assert (ingested.pages, ingested.pages_without_text, ingested.damaged_pages) == (60, (), ())
    assert ingested.model == MODEL
    assert ingested.chunks == count > 60


def test_pages_without_text_are_named(with_table, job):
    job.path.write_bytes(make_pdf(["One.", "", "Three.", ""]))

    assert with_table(lambda table: run(table, job)).pages_without_text == (2, 4)


def test_progress_is_told_in_pages_and_ends_with_all(with_table, job):
    reported = []

    async def note(done, count):
        reported.append((done, count))

    with_table(lambda table: run(table, job, progress=note))
    assert len(reported) > 2
    assert reported == sorted(reported)
    assert reported[-1] == (60, 60)


def test_texts_are_embedded_in_batches_in_order_and_once(with_table, job):
    batches = []

    async def embed(texts):
        batches.append(list(texts))
        return await embed_by_hashing(texts)

    ingested = with_table(lambda table: run(table, job, embed))
    assert sum(map(len, batches)) == ingested.chunks
    assert max(map(len, batches)) <= 64
    assert all("\n" not in text for batch in batches for text in batch)


@pytest.mark.parametrize("failing", [1, 3])
def test_an_ingest_that_fails_leaves_what_was_before(with_table, job, failing):
    """No half of a document is ever found."""
    calls = []

    async def fail(texts):
        calls.append(texts)
        if len(calls) == failing:
            raise ConnectionError
        return await embed_by_hashing(texts)

    async def work(table):
        with pytest.raises(ConnectionError):
            await run(table, job, fail)
        before = await table.count("doc_a")
        ingested = await run(table, job)
        return before, ingested.chunks, await table.count("doc_a")

    before, chunks, after = with_table(work)
    assert before == 0
    assert after == chunks


def test_a_document_without_text_leaves_nothing(with_table, job):
    job.path.write_bytes(make_pdf(["", ""]))

    async def work(table):
        with pytest.raises(NoText):
            await run(table, job)
        return await table.count("doc_a")

    assert with_table(work) == 0


def test_a_cancelled_ingest_stops_reading_and_leaves_nothing(with_table, job):
    async def work(table):
        started = asyncio.Event()

        async def hang(_texts):
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(run(table, job, hang))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await table.count("doc_a")

    assert with_table(work) == 0
    assert [child for child in psutil.Process().children() if "documents.reading.process" in child.cmdline()] == []


def _ingest_in_a_process(url: str, job: IngestJob) -> None:
    async def work() -> None:
        await run(await ChunkTable.open(url), job)

    asyncio.run(work())


def test_ten_kills_at_random_moments_leave_one_complete_set(table_url, with_table, job):
    """kill -9 from before the first page to the commit; after each, all is there or nothing is."""
    rng = random.Random(11)
    spawn = multiprocessing.get_context("spawn")
    started = time.monotonic()
    _finish(spawn.Process(target=_ingest_in_a_process, args=(table_url, job)))
    duration = time.monotonic() - started
    with_table(lambda table: table.remove("doc_a"))
    counts = []
    for _ in range(10):
        process = spawn.Process(target=_ingest_in_a_process, args=(table_url, job))
        process.start()
        process.join(duration * rng.uniform(0.3, 1.0))
        process.kill()
        process.join()
        counts.append(with_table(lambda table: table.count("doc_a")))
    _finish(spawn.Process(target=_ingest_in_a_process, args=(table_url, job)))
    chunk_count = with_table(lambda table: table.count("doc_a"))

    assert chunk_count > 60
    assert set(counts) <= {0, chunk_count}


def _finish(process) -> None:
    process.start()
    process.join(60)
    assert process.exitcode == 0
