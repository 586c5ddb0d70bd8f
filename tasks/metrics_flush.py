"""Adds the counts of a worker process to those of all processes, every few seconds and when the process ends."""

import asyncio
import contextlib

from redis.exceptions import RedisError

from jobs.errors import StoreUnavailable
from jobs.metrics import FLUSH_SECONDS, Additions, MetricCounts
from jobs.storage.async_store import AsyncStore
from jobs.storage.transitions import add_counts


class MetricsFlush:
    def __init__(self, store: AsyncStore) -> None:
        self.counts = MetricCounts()
        self._additions = Additions(self.counts)
        self._store = store

    async def run_forever(self) -> None:
        with contextlib.suppress(StoreUnavailable):  # the process ends
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                await self.flush()

    async def flush(self) -> None:
        """Raises StoreUnavailable when the worker no longer waits for Redis."""
        if (addition := self._additions.next()) is None:
            return
        try:
            await self._store.run(add_counts(addition))
        except RedisError as error:
            self._additions.failed(error)
        else:
            self._additions.sent()
