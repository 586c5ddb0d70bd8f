"""What the tests of documents share: a reader with small limits, and a table in a folder of its own."""

import asyncio
from array import array
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("lancedb", reason="documents need the extra chatqueue[documents]", exc_type=ImportError)

from documents.chunk_table import ChunkTable
from documents.cutting import ChunkSize
from documents.models import EmbeddingModel, Kind
from documents.reading import Reader, ReadingLimits, ReadPage
from local.offline_model.embedding import embed

LIMITS = ReadingLimits(max_pages=500, max_chars=2_000_000, memory_bytes=1024**3, seconds=60)
SIZE = ChunkSize(tokens=200, overlap=40)
MODEL = EmbeddingModel("hashing", 384)


def vector(text: str) -> bytes:
    """Without a model: texts that share words are near."""
    return array("f", embed(text, MODEL.dimensions)).tobytes()


async def embed_by_hashing(texts: Sequence[str]) -> list[list[float]]:
    return [embed(text, MODEL.dimensions) for text in texts]


def read(path: Path, kind: Kind = "pdf", **limits: float) -> list[ReadPage]:
    """All pages of the file; limits are changed by name."""

    async def gather() -> list[ReadPage]:
        async with aclosing(Reader(1, replace(LIMITS, **limits), SIZE).read(path, kind)) as pages:
            return [page async for page in pages]

    return asyncio.run(gather())


@pytest.fixture
def table_url(tmp_path: Path) -> str:
    return str(tmp_path / "chunks")


@pytest.fixture
def with_table(table_url: str):
    """Runs a coroutine function on the table, in an event loop of its own."""

    def run(work):
        async def opened():
            return await work(await ChunkTable.open(table_url))

        return asyncio.run(opened())

    return run
