"""Document cleanup: removes the data of deleted documents, even when the task that should have done it was lost.

    one minute after a deletion   finish the removal if its task did not
    one hour after the removal    remove the data again: a worker or web process that had not noticed the deletion may
                                  have committed chunks or stored a file since, and died. Then purge the text from
                                  the disk

Only documents with a tombstone, which a deletion writes, are checked. The storage is never listed: no file is removed
when Redis has lost its records or belongs to another deployment.

Survives running twice, late or in two workers: removing missing data changes nothing.

Logs:
    document_cleaned_up      document_id
    document_cleanup_failed  document_id, code: the next tick tries again
"""

import logging
from typing import Final

from jobs import queries
from jobs.documents import DocumentState
from jobs.errors import AttemptError
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore
from tasks.document_storage import DocumentStorage, translate_document_errors
from tasks.maintenance.leader import run_while_leader

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 60.0
_UNKNOWN_STATE_MS: Final = 600_000  # until a document in a state that this version does not know is checked again
_MAX_DOCUMENTS_PER_TICK: Final = 100


class DocumentCleanup:
    """One for each worker process; ``worker`` is its name in the leader lock."""

    def __init__(self, worker: str, store: AsyncStore, document_storage: DocumentStorage) -> None:
        self._worker = worker
        self._store = store
        self._document_storage = document_storage

    async def run_forever(self) -> None:
        await run_while_leader(self._worker, self._store, "document_cleanup", self.tick, _TICK_SECONDS)

    async def tick(self) -> None:
        """Clean up every document that is due; purge the storage if one of them was cleaned up for the last time."""
        now_ms = await self._store.run(queries.server_time_ms())
        cleaned_for_good = [
            await self._clean_up(document_id, now_ms)
            for document_id in await self._store.run(queries.due_tombstones(now_ms, _MAX_DOCUMENTS_PER_TICK))
        ]
        if any(cleaned_for_good):
            await self._document_storage.purge()

    async def _clean_up(self, document_id: str, now_ms: int) -> bool:
        """Remove the data of a deleted document. True if that was the last time."""
        record = await self._store.run(queries.document(document_id))
        if record is not None and record.state is None:  # another version works on it
            await self._store.run(transitions.put_off(keys.TOMBSTONES, document_id, now_ms + _UNKNOWN_STATE_MS))
            return False
        is_live = record is not None and record.state is not DocumentState.DELETING
        if not is_live and not await self._remove(document_id):
            return False
        if record is None or is_live:
            await self._store.run(transitions.document.drop_tombstone(document_id))
        return record is None

    async def _remove(self, document_id: str) -> bool:
        try:
            await remove_document_data(self._store, self._document_storage, document_id)
        except AttemptError as error:
            logger.warning("document_cleanup_failed document_id=%s code=%s", document_id, error.code)
            return False
        logger.info("document_cleaned_up document_id=%s", document_id)
        return True


async def remove_document_data(store: AsyncStore, document_storage: DocumentStorage, document_id: str) -> None:
    """Remove a deleted document's file, chunks and vectors, then its record. May run twice, also simultaneously.

    Raises AttemptError.
    """
    with translate_document_errors():
        await document_storage.remove(document_id)
    if (record := await store.run(queries.document(document_id))) is not None:
        await store.run(transitions.document.purge(record))
