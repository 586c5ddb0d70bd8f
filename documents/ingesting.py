"""Ingests one document, from its file to its chunks in the table. Reports progress and can be cancelled at any step.

The caller passes the embedding function: provider calls, timeouts and retries are not part of this package.
"""

from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from documents.chunks.table import ChunkTable
from documents.models import Chunk, EmbeddingModel, FileType, TextPage
from documents.reading.text_reader import ChunkedPage, TextReader
from documents.text import normalize_text

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[float]]]]  # one vector per text, in order
ReportProgress = Callable[[int, int], Awaitable[None]]  # pages done, total pages
KeepTexts = Callable[[Mapping[int, str]], Awaitable[None]]  # of all pages that went through OCR so far

_BATCH_SIZE: Final = 64  # texts per provider call: about 13,000 tokens, far below any provider's limit


@dataclass(frozen=True, slots=True)
class IngestJob:
    """A document to ingest: its id, tenant, file, and the embedding model to use."""

    document_id: str
    tenant: str
    path: Path
    file_type: FileType
    charset: str | None  # of a text, as declared
    embedding_model: str
    recognized: Mapping[int, str] = field(default_factory=dict)  # texts by page that an earlier attempt got by OCR


@dataclass(frozen=True, slots=True)
class IngestResult:
    pages: int
    chunks: int
    pages_without_text: tuple[int, ...]
    damaged_pages: tuple[int, ...]
    garbled_pages: tuple[int, ...]
    page_labels: tuple[str, ...]  # one per page, as printed; empty if all are the pages' numbers
    attachments: int
    ocr: Mapping[str, tuple[int, ...]]  # pages by the outcome of their OCR
    model: EmbeddingModel


@dataclass(slots=True)
class _Accumulated:
    """The result so far. Vectors are packed: lists of Python floats would take eight times the memory."""

    pages: list[tuple[int, str | None]] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    attachments: int = 0
    ocr: dict[str, tuple[int, ...]] = field(default_factory=dict)
    chunks: list[Chunk] = field(default_factory=list)
    vectors: list[bytes] = field(default_factory=list)

    def add_page(self, page: TextPage) -> None:
        self.pages.append((page.number, page.problem))
        self.labels.append(page.label)
        self.attachments = page.attachments
        if page.ocr:
            self.ocr[page.ocr] = (*self.ocr.get(page.ocr, ()), page.number)

    def pages_with(self, problem: str) -> tuple[int, ...]:
        return tuple(number for number, page_problem in self.pages if page_problem == problem)

    def page_labels(self) -> tuple[str, ...]:
        if not any(self.labels):
            return ()
        return tuple(label or str(number) for number, label in enumerate(self.labels, start=1))


async def ingest(
    job: IngestJob,
    reader: TextReader,
    table: ChunkTable,
    embed: Embed,
    report_progress: ReportProgress,
    keep_texts: KeepTexts | None = None,
) -> IngestResult:
    """Read, chunk, embed and store the document. May run any number of times, also concurrently: the last wins.

    All chunks are stored in one commit at the end. An ingest interrupted before the commit leaves the table unchanged.
    Each page that goes through OCR is kept and reported at once. Raises DocumentError, and what the callbacks raise.
    """
    accumulated = _Accumulated()
    async with (
        aclosing(reader.read(job.path, job.file_type, job.charset, job.recognized)) as read_pages,
        aclosing(_keep_recognized(read_pages, job.recognized, keep_texts, report_progress)) as pages,
    ):
        async for batch, pages_done, page_count in _batches(pages, accumulated):
            vectors = await embed([normalize_text(f"{chunk.lead} {chunk.text}") for chunk in batch])
            accumulated.chunks += batch
            accumulated.vectors += [array("f", vector).tobytes() for vector in vectors]
            await report_progress(pages_done, page_count)
    model = EmbeddingModel(job.embedding_model, len(accumulated.vectors[0]) // 4)
    await table.replace(job.document_id, job.tenant, model, accumulated.chunks, accumulated.vectors)
    return IngestResult(
        len(accumulated.pages),
        len(accumulated.chunks),
        accumulated.pages_with("no_text"),
        accumulated.pages_with("damaged"),
        accumulated.pages_with("garbled"),
        accumulated.page_labels(),
        accumulated.attachments,
        accumulated.ocr,
        model,
    )


async def _keep_recognized(
    pages: AsyncIterator[ChunkedPage], earlier: Mapping[int, str], keep: KeepTexts | None, report: ReportProgress
) -> AsyncGenerator[ChunkedPage, None]:
    """The pages. OCR takes seconds a page, so each of its texts is kept and its page counts as done.

    The number of pages is reported with the first, so that a document without text has one too.
    """
    texts = dict(earlier)
    async for chunked_page in pages:
        page = chunked_page.page
        if page.number == 1:
            await report(0, page.count)
        if page.ocr == "recognized" and page.number not in texts:
            texts[page.number] = page.text
            if keep is not None:
                await keep(texts)
        if page.ocr is not None:
            await report(page.number, page.count)
        yield chunked_page


async def _batches(
    pages: AsyncIterator[ChunkedPage], accumulated: _Accumulated
) -> AsyncIterator[tuple[list[Chunk], int, int]]:
    """Batches of chunks for one provider call, with the number of pages read so far and in total."""
    pending: list[Chunk] = []
    page_count = 0
    async for chunked_page in pages:
        accumulated.add_page(chunked_page.page)
        pending += chunked_page.chunks
        page_count = chunked_page.page.count
        while len(pending) >= _BATCH_SIZE:
            yield pending[:_BATCH_SIZE], len(accumulated.pages), page_count
            del pending[:_BATCH_SIZE]
    if pending:
        yield pending, page_count, page_count
