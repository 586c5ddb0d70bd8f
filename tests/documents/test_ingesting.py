"""An ingest may be interrupted anywhere and run again: one complete set of chunks remains."""

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
    """Discard progress reports."""


@pytest.fixture
def job(tmp_path):
    path = tmp_path / "wine.pdf"
    path.write_bytes(make_pdf(PAGES))
    return IngestJob("doc_a", "t", path, "pdf", None, MODEL.name)


async def ignore_pages(_archive: bytes) -> None:
    """Discard the texts of the pages."""


async def run(table, job, embed=embed_by_hashing, report_progress=ignore_progress, save_pages=ignore_pages):
    return await ingest(job, TextReader(1, LIMITS, SIZE), table.replace, save_pages, embed, report_progress)


def test_an_ingest_reports_its_result_and_stores_all_chunks(with_table, job):
    """The numbers that the document shows are those of the table."""

    async def work(table):
        return await run(table, job), await table.count("doc_a")

    result, count = with_table(work)
    assert (result.pages, result.pages_without_text, result.damaged_pages) == (60, (), ())
    assert result.model == MODEL
    assert result.chunks == count > 60


def test_pages_without_text_are_reported(with_table, job):
    """The user learns which pages no question can find."""
    job.path.write_bytes(make_pdf(["One.", "", "Three.", ""]))

    assert with_table(lambda table: run(table, job)).pages_without_text == (2, 4)


def test_a_sentence_over_a_page_end_is_embedded_as_one(with_table, job):
    """The end of a page cuts the answer from the words of its question. Finished sentences are not repeated."""
    pages = ["Salt. The penalty for smuggling is", "seven years on the galleys.", "the next page", "Pepper"]
    job.path.write_bytes(make_pdf(pages))
    embedded = []

    async def record(texts):
        embedded.extend(texts)
        return await embed_by_hashing(texts)

    with_table(lambda table: run(table, job, record))
    assert embedded == [pages[0], "The penalty for smuggling is seven years on the galleys.", *pages[2:]]


def test_progress_is_reported_in_pages_and_ends_with_all_pages(with_table, job):
    """Progress never goes backwards."""
    reported = []

    async def record(done, count):
        reported.append((done, count))

    with_table(lambda table: run(table, job, report_progress=record))
    assert len(reported) > 2
    assert reported == sorted(reported)
    assert reported[-1] == (60, 60)


def test_texts_are_embedded_once_in_batches(with_table, job):
    """No text is paid for twice, and no batch exceeds its size."""
    batches = []

    async def embed(texts):
        batches.append(list(texts))
        return await embed_by_hashing(texts)

    result = with_table(lambda table: run(table, job, embed))
    assert sum(map(len, batches)) == result.chunks
    assert max(map(len, batches)) <= 64
    assert all("\n" not in text for batch in batches for text in batch)


@pytest.mark.parametrize("failing", [1, 3])
def test_a_failed_ingest_leaves_the_table_unchanged(with_table, job, failing):
    """A partial document is never found, and a second attempt stores all of it."""
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
        result = await run(table, job)
        return before, result.chunks, await table.count("doc_a")

    before, chunks, after = with_table(work)
    assert before == 0
    assert after == chunks


def test_a_document_without_text_stores_no_chunks(with_table, job):
    """The ingest fails before its commit."""
    job.path.write_bytes(make_pdf(["", ""]))

    async def work(table):
        with pytest.raises(NoText):
            await run(table, job)
        return await table.count("doc_a")

    assert with_table(work) == 0


def test_a_cancelled_ingest_stops_reading_and_stores_no_chunks(with_table, job):
    """Cancelling during an embedding call ends the reading process too."""

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


@pytest.mark.slow
def test_ten_kills_at_random_moments_leave_one_complete_set(table_url, with_table, job):
    """Each kill -9, from before the first page to the commit, leaves either all chunks or none."""
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
