"""DocumentCleanup: what is left of deleted documents is removed, whatever has become of the tasks that were to do so.

    a deletion is looked at after a minute: if its task has come to nothing, it is finished here
    what was removed is looked at once more, an hour later: chunks that were being committed, a file that was being
    kept, by somebody who did not know yet and has died since; then the texts leave the disk too

Only what somebody has deleted is ever looked at. So nothing needs to be listed, and a Redis that has lost its records,
or is another deployment's, costs no file.
"""

import asyncio
import logging
from typing import Final

from jobs import document_lookup, queries
from jobs.documents import DocumentState
from jobs.errors import AttemptError
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from tasks.document_storage import DocumentStorage, translate_document_errors
from tasks.maintenance.recovery import LEADER_LOCK_MS

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 60.0
_MAX_PER_TICK: Final = 100


class DocumentCleanup:
    """One for each worker process; the leader cleans up. Twice or at once does no harm."""

    def __init__(self, worker: str, store: AsyncStore, document_storage: DocumentStorage) -> None:
        self._worker = worker
        self._store = store
        self._document_storage = document_storage

    async def run_forever(self) -> None:
        while True:
            try:
                if await self._store.run(transitions.become_leader(self._worker, LEADER_LOCK_MS)):
                    await self.tick()
            except Exception as error:  # noqa: BLE001  # what fails once is tried again
                logger.warning("document_cleanup_failed error=%s", type(error).__name__)
            await asyncio.sleep(_TICK_SECONDS)

    async def tick(self) -> None:
        now_ms = await self._store.run(queries.server_time_ms())
        removed = [
            await self._clean_up(document_id)
            for document_id in await self._store.run(queries.due_tombstones(now_ms, _MAX_PER_TICK))
        ]
        if any(removed):
            await self._document_storage.purge()

    async def _clean_up(self, document_id: str) -> bool:
        """Whether it is removed, and was looked at for the last time."""
        record = await self._store.run(document_lookup.record(document_id))
        if record is None or record.state is DocumentState.DELETING:
            try:
                await remove_document_data(self._store, self._document_storage, document_id)
            except AttemptError as error:  # the next tick tries again
                logger.warning("document_cleanup_failed document_id=%s code=%s", document_id, error.code)
                return False
            logger.info("document_cleaned_up document_id=%s", document_id)
        if record is None or record.state is not DocumentState.DELETING:
            await self._store.run(transitions.document.drop_tombstone(document_id))
        return record is None


async def remove_document_data(store: AsyncStore, document_storage: DocumentStorage, document_id: str) -> None:
    """Of a deleted document: chunks, vectors and file, and then its record. May be done twice, also at the same time.

    Raises AttemptError.
    """
    with translate_document_errors():
        await document_storage.remove(document_id)
    if (record := await store.run(document_lookup.record(document_id))) is not None:
        await store.run(transitions.document.purge(record))
