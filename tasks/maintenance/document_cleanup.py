"""Leftovers: what is left of deleted documents is removed, whatever has become of the tasks that were to do so.

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
from tasks.document_storage import Library, document_errors
from tasks.maintenance.recovery import LOCK_MS

logger = logging.getLogger(__name__)

_TICK_SECONDS: Final = 60.0
_MOST_IN_ONE_TICK: Final = 100


class Leftovers:
    """One for each worker process; that which has the recovery duties clears up. Twice or at once does no harm."""

    def __init__(self, worker: str, store: AsyncStore, library: Library) -> None:
        self._worker = worker
        self._store = store
        self._library = library

    async def run_forever(self) -> None:
        while True:
            try:
                if await self._store.run(transitions.take_duty(self._worker, LOCK_MS)):
                    await self.tick()
            except Exception as error:  # noqa: BLE001  # what fails once is tried again
                logger.warning("leftovers_failed error=%s", type(error).__name__)
            await asyncio.sleep(_TICK_SECONDS)

    async def tick(self) -> None:
        now_ms = await self._store.run(queries.server_time_ms())
        gone = [await self._clear(due) for due in await self._store.run(queries.left_over(now_ms, _MOST_IN_ONE_TICK))]
        if any(gone):
            await self._library.purge()

    async def _clear(self, document_id: str) -> bool:
        """Whether it is gone, and was looked at for the last time."""
        record = await self._store.run(document_lookup.record(document_id))
        if record is None or record.state is DocumentState.DELETING:
            try:
                await remove_rest(self._store, self._library, document_id)
            except AttemptError as error:  # the next tick tries again
                logger.warning("leftovers_failed document_id=%s code=%s", document_id, error.code)
                return False
            logger.info("leftovers_cleared document_id=%s", document_id)
        if record is None or record.state is not DocumentState.DELETING:
            await self._store.run(transitions.document.cleared(document_id))
        return record is None


async def remove_rest(store: AsyncStore, library: Library, document_id: str) -> None:
    """Of a deleted document: chunks, vectors and file, and then its record. May be done twice, also at the same time.

    Raises AttemptError.
    """
    with document_errors():
        await library.remove(document_id)
    if (record := await store.run(document_lookup.record(document_id))) is not None:
        await store.run(transitions.document.forget(record))
