"""Ingesting: one document from its file to its chunks in the table, in steps that can be watched and cut short.

The embedding is handed in: who calls the provider, with which patience and retries, is not this room's business.
"""

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from documents.chunks.table import ChunkTable
from documents.models import Chunk, EmbeddingModel, FileType, TextPage
from documents.reading.text_reader import ChunkedPage, TextReader
from documents.text import normalize_text

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]  # one vector for each text, in order
ReportProgress = Callable[[int, int], Awaitable[None]]  # pages done, pages in all

_BATCH_SIZE: Final = 64  # texts in one call to the provider: about 13,000 tokens, far below any provider's limit


@dataclass(frozen=True, slots=True)
class IngestJob:
    """What is to be ingested, under whose name, with which model."""

    document_id: str
    tenant: str
    path: Path
    file_type: FileType
    embedding_model: str


@dataclass(frozen=True, slots=True)
class IngestResult:
    pages: int
    chunks: int
    pages_without_text: tuple[int, ...]
    damaged_pages: tuple[int, ...]
    model: EmbeddingModel


@dataclass(slots=True)
class _Accumulated:
    """What has come of the pages so far. Vectors are packed: a list of Python floats would take eight times as much."""

    pages: list[tuple[int, str | None]] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)

    def add_page(self, page: TextPage) -> None:
        self.pages.append((page.number, page.problem))

    def pages_with(self, problem: str) -> tuple[int, ...]:
        return tuple(number for number, page_problem in self.pages if page_problem == problem)


async def ingest(
    job: IngestJob, reader: TextReader, table: ChunkTable, embed: Embed, report_progress: ReportProgress
) -> IngestResult:
    """Read, cut, embed and keep. May run any number of times, also at once: the last to end leaves one complete set.

    Nothing is kept before everything is known, and then all at once; cut short anywhere, it leaves what was before.
    Raises DocumentError, and whatever `embed` and `progress` raise.
    """
    accumulated = _Accumulated()
    async with aclosing(reader.read(job.path, job.file_type)) as pages:
        async for batch, done, count in _batches(pages, accumulated):
            vectors = await embed([normalize_text(chunk.text) for chunk in batch])
            accumulated.chunks += batch
            accumulated.vectors += [array("f", vector).tobytes() for vector in vectors]
            await report_progress(done, count)
    model = EmbeddingModel(job.embedding_model, len(accumulated.vectors[0]) // 4)
    await table.replace(job.document_id, job.tenant, model, accumulated.chunks, accumulated.vectors)
    return IngestResult(
        len(accumulated.pages),
        len(accumulated.chunks),
        accumulated.pages_with("no_text"),
        accumulated.pages_with("damaged"),
        model,
    )


async def _batches(
    pages: AsyncIterator[ChunkedPage], accumulated: _Accumulated
) -> AsyncIterator[tuple[list[Chunk], int, int]]:
    """Chunks, as many as go into one call, with the pages that they complete."""
    pending: list[Chunk] = []
    count = 0
    async for chunked_page in pages:
        accumulated.add_page(chunked_page.page)
        pending += chunked_page.chunks
        count = chunked_page.page.count
        while len(pending) >= _BATCH_SIZE:
            yield pending[:_BATCH_SIZE], len(accumulated.pages), count
            del pending[:_BATCH_SIZE]
    if pending:
        yield pending, count, count
