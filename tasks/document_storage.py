"""A worker process's access to documents: their files, the reader, and the chunks, opened on the first question.

Not earlier: LanceDB takes 1.6 s and 130 MB, must not be loaded before a fork, and may not be installed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from documents.chunks.table import ChunkTable
from documents.errors import ChunksUnavailable, DocumentError, FilesUnavailable, ReadingInterrupted
from documents.factory import make_chunk_writer, make_reader, open_chunk_table, open_files, open_page_texts
from documents.files import Files
from documents.memory import limit_arenas
from documents.page_texts import PageTexts
from documents.storage_errors import translate_storage_errors
from jobs.errors import AttemptCrashed, DocumentRejected
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore

_RETRYABLE = (ReadingInterrupted, FilesUnavailable, ChunksUnavailable)


class DocumentStorage:
    """Belongs to the event loop of the process."""

    def __init__(self, settings: Settings, store: AsyncStore, worker: str) -> None:
        """``worker``: the name of this process."""
        self._settings = settings
        self._open_lock = asyncio.Lock()
        self._chunks: ChunkTable | None = None
        self._files: Files | None = None
        self._page_texts: PageTexts | None = None
        self.reader = make_reader(settings)
        self.writer = make_chunk_writer(settings, partial(creation_turn, store, worker))

    async def chunks(self) -> ChunkTable:
        """The chunk table to search, opened once. The writer changes it."""
        async with self._open_lock:
            if self._chunks is None:
                limit_arenas()
                self._chunks = await open_chunk_table(self._settings)
            return self._chunks

    @asynccontextmanager
    async def local_copy(self, document_id: str) -> AsyncIterator[Path]:
        """A local copy of the document's file, for the length of the block. Raises DocumentRejected if it is lost."""
        copy = (await self._get_files()).local_copy(document_id)
        try:
            path = await asyncio.to_thread(copy.__enter__)
        except FileNotFoundError:
            raise DocumentRejected("the document's file is lost; upload it again", code="file_lost") from None
        try:
            yield path
        finally:
            await asyncio.to_thread(copy.__exit__, None, None, None)

    async def save_pages(self, document_id: str, archive: bytes) -> None:
        """Save the texts of the document's pages."""
        await asyncio.to_thread((await self._get_page_texts()).save, document_id, archive)

    async def recognized(self, document_id: str) -> dict[int, str]:
        """The texts of pages that went through OCR in an earlier attempt, if its languages are still the same."""
        if not (languages := self._settings.ocr_languages):
            return {}
        return await asyncio.to_thread((await self._get_files()).recognized, document_id, languages)

    async def save_recognized(self, document_id: str, texts: Mapping[int, str]) -> None:
        languages = self._settings.ocr_languages or ""
        await asyncio.to_thread((await self._get_files()).save_recognized, document_id, languages, texts)

    async def remove(self, document_id: str) -> None:
        """Remove the document's file, page texts, chunks and vectors. Missing data is not an error.

        The files go first, because marking chunks as deleted needs disk space.
        """
        await asyncio.to_thread((await self._get_files()).remove, document_id)
        await self.remove_text(document_id)

    async def remove_text(self, document_id: str) -> None:
        """Remove what an ingest stores: page texts, chunks and vectors. Missing data is not an error."""
        await asyncio.to_thread((await self._get_page_texts()).remove, document_id)
        await self.writer.remove(document_id)

    async def close(self) -> None:
        """End the process that stores chunks."""
        await self.writer.close()

    async def purge(self) -> None:
        """Delete from the disk the text of chunks that were removed some time ago."""
        await self.writer.compact()

    async def _get_files(self) -> Files:
        async with self._open_lock:
            if self._files is None:
                self._files = await asyncio.to_thread(open_files, self._settings)
            return self._files

    async def _get_page_texts(self) -> PageTexts:
        async with self._open_lock:
            if self._page_texts is None:
                self._page_texts = await asyncio.to_thread(open_page_texts, self._settings)
            return self._page_texts


@asynccontextmanager
async def creation_turn(store: AsyncStore, worker: str, table: str) -> AsyncIterator[bool]:
    """Yields whether this worker may create the table of chunks. No other worker may until the end of the block."""
    is_granted = await store.run(transitions.document.lock_table(table, worker))
    try:
        yield is_granted
    finally:
        if is_granted:
            await store.run(transitions.document.unlock_table(table, worker))


@contextmanager
def translate_document_errors() -> Iterator[None]:
    """Turn every error of the documents package into one of our AttemptErrors. Any other error is a crash."""
    try:
        with translate_storage_errors(ChunksUnavailable):
            yield
    except _RETRYABLE as error:
        raise AttemptCrashed(error.message, code=error.code) from None
    except DocumentError as error:
        raise DocumentRejected(error.message, code=error.code) from None


def document_deleted() -> DocumentRejected:
    return DocumentRejected("the document was deleted while the task ran", code="document_deleted")
