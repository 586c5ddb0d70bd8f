"""A worker process's access to documents: their files, the reader and the chunks, opened on first use.

Not earlier: LanceDB takes 1.6 s and 130 MB, must not be loaded before a fork, and may not be installed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

from documents.chunks.table import ChunkTable
from documents.errors import ChunksUnavailable, DocumentError, FilesUnavailable, ReadingInterrupted
from documents.factory import make_reader, open_chunk_table, open_files
from documents.files import Files
from documents.memory import limit_arenas
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
        self._store = store
        self._worker = worker
        self._open_lock = asyncio.Lock()
        self._chunks: ChunkTable | None = None
        self._files: Files | None = None
        self.reader = make_reader(settings)

    async def chunks(self) -> ChunkTable:
        """The chunk table, opened once."""
        async with self._open_lock:
            if self._chunks is None:
                limit_arenas()
                self._chunks = await open_chunk_table(self._settings, partial(creation_turn, self._store, self._worker))
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

    async def recognized(self, document_id: str) -> dict[int, str]:
        """The texts of pages that went through OCR in an earlier attempt, if its languages are still the same."""
        if not (languages := self._settings.ocr_languages):
            return {}
        return await asyncio.to_thread((await self._get_files()).recognized, document_id, languages)

    async def save_recognized(self, document_id: str, texts: Mapping[int, str]) -> None:
        languages = self._settings.ocr_languages or ""
        await asyncio.to_thread((await self._get_files()).save_recognized, document_id, languages, texts)

    async def remove(self, document_id: str) -> None:
        """Remove the document's file, recognized texts, chunks and vectors. Missing data is not an error.

        The file goes first, because marking chunks as deleted needs disk space.
        """
        await asyncio.to_thread((await self._get_files()).remove, document_id)
        await (await self.chunks()).remove(document_id)

    async def purge(self) -> None:
        """Delete from the disk the text of chunks that were removed some time ago."""
        await (await self.chunks()).compact()

    async def _get_files(self) -> Files:
        async with self._open_lock:
            if self._files is None:
                self._files = await asyncio.to_thread(open_files, self._settings)
            return self._files


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
