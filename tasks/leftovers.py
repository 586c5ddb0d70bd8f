"""Leftovers: files and chunks of documents to which no record leads, since an upload or an ingest died in between.

    an upload announces its file before it keeps it; its record takes the announcement away
    a deletion is looked at again after an hour, when no ingest of the document can be committing any more

So nothing needs to be listed, an upload that is under way is never taken, and a Redis that has lost its records, or is
another deployment's, costs no file.
"""

import asyncio
import logging
from typing import Final

from jobs import queries, shelf, verbs
from jobs.async_store import AsyncStore
from jobs.documents import DocumentState
from tasks.library import Library
from tasks.recovery import LOCK_MS

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
                if await self._store.run(verbs.take_duty(self._worker, LOCK_MS)):
                    await self.tick()
            except Exception as error:  # noqa: BLE001  # what fails once is tried again
                logger.warning("leftovers_failed error=%s", type(error).__name__)
            await asyncio.sleep(_TICK_SECONDS)

    async def tick(self) -> None:
        now_ms = await self._store.run(queries.server_time_ms())
        for document_id in await self._store.run(queries.left_over(now_ms, _MOST_IN_ONE_TICK)):
            await self._clear(document_id)

    async def _clear(self, document_id: str) -> None:
        record = await self._store.run(shelf.record(document_id))
        if record is None or record.state is DocumentState.DELETING:
            await self._library.remove(document_id)
            await self._store.run(verbs.document.forget(document_id))
            logger.info("leftovers_cleared document_id=%s", document_id)
        await self._store.run(verbs.document.cleared(document_id))
