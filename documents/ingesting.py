"""Ingesting: one document from its file to its chunks in the table, in steps that can be watched and cut short.

The embedding is handed in: who calls the provider, with which patience and retries, is not this room's business.
"""

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from documents.chunk_table import ChunkTable
from documents.models import Chunk, EmbeddingModel, Kind, Page
from documents.reading import Reader, ReadPage
from documents.words import rejoin

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]  # one vector for each text, in order
Progress = Callable[[int, int], Awaitable[None]]  # pages done, pages in all

_BATCH: Final = 64  # texts in one call to the provider: about 13,000 tokens, far below any provider's limit


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be ingested, under whose name, with which model."""

    document_id: str
    tenant: str
    path: Path
    kind: Kind
    embedding_model: str


@dataclass(frozen=True, slots=True)
class Ingested:
    pages: int
    chunks: int
    pages_without_text: tuple[int, ...]
    damaged_pages: tuple[int, ...]
    model: EmbeddingModel


@dataclass(slots=True)
class _Harvest:
    """What has come of the pages so far. Vectors are packed: a list of Python floats would take eight times as much."""

    pages: list[tuple[int, str | None]] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)

    def note(self, page: Page) -> None:
        self.pages.append((page.number, page.problem))

    def numbers(self, problem: str) -> tuple[int, ...]:
        return tuple(number for number, met in self.pages if met == problem)


async def ingest(order: Order, reader: Reader, table: ChunkTable, embed: Embed, progress: Progress) -> Ingested:
    """Read, cut, embed and keep. May run any number of times, also at once: the last to end leaves one complete set.

    Nothing is kept before everything is known, and then all at once; cut short anywhere, it leaves what was before.
    Raises DocumentError, and whatever `embed` and `progress` raise.
    """
    harvest = _Harvest()
    async with aclosing(reader.read(order.path, order.kind)) as pages:
        async for batch, done, count in _batches(pages, harvest):
            vectors = await embed([rejoin(chunk.text) for chunk in batch])
            harvest.chunks += batch
            harvest.vectors += [array("f", vector).tobytes() for vector in vectors]
            await progress(done, count)
    model = EmbeddingModel(order.embedding_model, len(harvest.vectors[0]) // 4)
    await table.replace(order.document_id, order.tenant, model, harvest.chunks, harvest.vectors)
    return Ingested(
        len(harvest.pages), len(harvest.chunks), harvest.numbers("no_text"), harvest.numbers("damaged"), model
    )


async def _batches(pages: AsyncIterator[ReadPage], harvest: _Harvest) -> AsyncIterator[tuple[list[Chunk], int, int]]:
    """Chunks, as many as go into one call, with the pages that they complete."""
    waiting: list[Chunk] = []
    count = 0
    async for read in pages:
        harvest.note(read.page)
        waiting += read.chunks
        count = read.page.count
        while len(waiting) >= _BATCH:
            yield waiting[:_BATCH], len(harvest.pages), count
            del waiting[:_BATCH]
    if waiting:
        yield waiting, count, count
