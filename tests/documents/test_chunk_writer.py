"""Chunks are stored by a process that ends: when it has grown, when it is idle, or when it is killed."""

import asyncio
from contextlib import asynccontextmanager

import psutil
import pytest

from documents.chunks import writer as writer_module
from documents.chunks.table import ChunkTable
from documents.chunks.writer import ChunkWriter
from documents.errors import ChunksUnavailable
from documents.models import Chunk, EmbeddingModel
from tests.documents.conftest import MODEL, vector

pytestmark = pytest.mark.usefixtures("processes")
TEXTS = ["The lamp burns oil.", "\u706f\u5854\u5f88\u9ad8\u3002"]


def chunks(count=2):
    return [Chunk(index, 1, 0, 0, TEXTS[index % 2]) for index in range(count)]


def vectors(count=2):
    return [vector(TEXTS[index % 2]) for index in range(count)]


def pid(writer):
    return writer._process._process.pid


async def stored(url, document_id="doc_a"):
    return await (await ChunkTable.open(url)).count(document_id)


def test_a_process_stores_and_removes_and_ends_when_it_has_grown(table_url, monkeypatch):
    """Callers notice nothing: commands sent at the same time are all run, and the next ones by another process."""
    asked = []

    @asynccontextmanager
    async def reluctant_turn(name):
        asked.append(name)
        if len(asked) == 1:
            raise OSError
        yield len(asked) > 2

    async def work():
        writer = ChunkWriter(table_url, reluctant_turn)
        await writer.replace("doc_a", "t", MODEL, chunks(), vectors())
        first = pid(writer)
        hits = await (await ChunkTable.open(table_url)).search(TEXTS[1], vector(TEXTS[1]), MODEL, "t")
        monkeypatch.setattr(writer_module, "_MAX_MEMORY_BYTES", 0)
        await asyncio.gather(
            writer.replace("doc_b", "t", MODEL, chunks(1), vectors(1)), writer.replace("doc_b", "t", MODEL, [], [])
        )
        assert pid(writer) == first
        monkeypatch.setattr(writer_module, "_IDLE_SECONDS", 0.0)
        await writer.remove("doc_a")
        second = pid(writer)
        await writer.close()
        return first, second, hits[0].chunk, await stored(table_url)

    first, second, found, left = asyncio.run(work())

    assert first != second
    assert found == chunks()[1]
    assert left == 0
    assert len(asked) == 3
    assert not psutil.pid_exists(first)
    assert not psutil.pid_exists(second)


def test_a_killed_process_fails_its_commands_and_is_replaced(table_url):
    """The caller tries again, and one whole set of chunks remains. A caller that is cancelled does not stop a commit."""

    async def work():
        writer = ChunkWriter(table_url)
        await writer.replace("doc_a", "t", MODEL, chunks(), vectors())
        running = asyncio.ensure_future(writer.replace("doc_a", "t", MODEL, chunks(50), vectors(50)))
        await asyncio.sleep(0)
        psutil.Process(pid(writer)).kill()
        with pytest.raises(ChunksUnavailable):
            await running
        partly = await stored(table_url)
        cancelled = asyncio.ensure_future(writer.replace("doc_a", "t", MODEL, chunks(3), vectors(3)))
        while writer._process is None or not writer._process._running:  # noqa: ASYNC110  # no event of its own
            await asyncio.sleep(0.01)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        with pytest.raises(ChunksUnavailable):
            await writer.replace("doc_c", "t", EmbeddingModel("m", 3), chunks(1), [b"too short"])
        await writer.close()
        return partly, await stored(table_url)

    partly, left = asyncio.run(work())

    assert partly in (2, 50)
    assert left == 3
