"""Fixtures of the tests of documents: a reader with small limits, a temporary chunk table, real processes."""

import asyncio
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

from documents.chunks.table import ChunkTable
from documents.factory import open_chunk_table
from documents.models import EmbeddingModel, FileType
from documents.reading.chunking import ChunkSize
from documents.reading.text_reader import ChunkedPage, ReadingLimits, TextReader
from jobs.settings import Settings
from local.offline_model.embedding import embed
from tests.documents import in_process

LIMITS = ReadingLimits(
    max_pages=500, max_chars=2_000_000, max_expanded_bytes=20_000_000, memory_bytes=1024**3, seconds=60
)
SIZE = ChunkSize(tokens=200, overlap=40)
MODEL = EmbeddingModel("hashing", 384)


def vector(text: str) -> bytes:
    """A vector without a model: texts that share words are near each other."""
    return array("f", embed(text, MODEL.dimensions)).tobytes()


async def embed_by_hashing(texts: Sequence[str]) -> list[list[float]]:
    return [embed(text, MODEL.dimensions) for text in texts]


def read(path: Path, file_type: FileType = "pdf", charset: str | None = None, **limits: Any) -> list[ChunkedPage]:
    """All pages of the file; keyword arguments replace fields of LIMITS."""

    async def read_all() -> list[ChunkedPage]:
        async with aclosing(TextReader(1, replace(LIMITS, **limits), SIZE).read(path, file_type, charset)) as pages:
            return [page async for page in pages]

    return asyncio.run(read_all())


@pytest.fixture
def table_url(tmp_path: Path) -> str:
    return str(tmp_path / "chunks")


@pytest.fixture
def with_table(table_url: str):
    """Runs a coroutine function with the opened table, in an event loop of its own."""

    def run(work):
        async def open_and_work():
            return await work(await ChunkTable.open(table_url))

        return asyncio.run(open_and_work())

    return run


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def env(redis_url, model_url, folder, redis_client, processes):
    return in_process.environment(redis_url, model_url, folder) | {"CHATQUEUE_MAX_WORKER_LOSSES": "100"}


@pytest.fixture
def documents_client(env):
    with in_process.web(env) as documents_client:
        yield documents_client


@pytest.fixture
def chunks(folder):
    """The (index, page) of each chunk of a document in the table, in order."""

    async def read(document_id):
        table = await open_chunk_table(Settings(CHATQUEUE_DATA_DIR=folder, data_dir=folder))
        positions = []
        for lance_table in await table._all_tables():
            rows = await lance_table.query().where(f"document_id = '{document_id}'").select(["index", "page"]).to_list()
            positions += [(row["index"], row["page"]) for row in rows]
        return sorted(positions)

    return lambda document_id: asyncio.run(read(document_id))
