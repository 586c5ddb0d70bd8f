"""Recovery duties: what has to happen to jobs that no worker holds. They run in every worker, one holder at a time."""

import asyncio
import logging
from typing import Final

from redis.exceptions import RedisError

from jobs import queries, verbs
from jobs.async_store import AsyncStore
from jobs.bell import Bell
from jobs.keys import FRONT_PRIORITY
from tasks import app
from tasks.bells import ring_through_celery

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
_LOCK_MS: Final = 2_000  # longer than a tick's work; a dead holder's duties go on after it
_MOST_IN_ONE_TICK: Final = 500


class Recovery:
    """One for each worker process; ``worker`` is its name in the lock."""

    def __init__(self, worker: str, store: AsyncStore, bell: Bell) -> None:
        self._worker = worker
        self._store = store
        self._bell = bell

    async def run_forever(self) -> None:
        while True:
            try:
                if await self._store.run(verbs.take_duty(self._worker, _LOCK_MS)):
                    await self._tick()
            except RedisError:
                logger.exception("recovery_tick_failed")
            await asyncio.sleep(TICK_SECONDS)

    async def _tick(self) -> None:
        now_ms = await self._store.run(queries.server_time_ms())
        await self._ring_due(now_ms)
        await self._forget_expired(now_ms)

    async def _ring_due(self, now_ms: int) -> None:
        """Jobs whose wait for the next attempt is over get their bell."""
        due = await self._store.run(queries.due(now_ms, _MOST_IN_ONE_TICK))
        answers = await asyncio.gather(*(self._store.run(verbs.ring(job_id, self._bell)) for job_id in due))
        for job_id, answer in zip(due, answers, strict=True):
            if answer == "rung":
                await self._ring_elsewhere(job_id)

    async def _ring_elsewhere(self, job_id: str) -> None:
        if not self._bell.rings_in_store:
            await asyncio.to_thread(ring_through_celery, app, job_id, self._bell.queue, FRONT_PRIORITY)

    async def _forget_expired(self, now_ms: int) -> None:
        """Records vanish by themselves; their entries in the indexes are cleared here."""
        expired = await self._store.run(queries.expired(now_ms, _MOST_IN_ONE_TICK))
        await asyncio.gather(*(self._store.run(verbs.delete(job_id, None)) for job_id in expired))
