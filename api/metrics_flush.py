"""Adds the counts of a web process to those of all processes, every few seconds and when the process ends."""

import time

from redis.exceptions import RedisError

from jobs.errors import QueueFull, StoreUnavailable
from jobs.metrics import FLUSH_SECONDS, Additions, MetricCounts
from jobs.storage.sync_store import Store
from jobs.storage.transitions import add_counts


class MetricsFlush:
    def __init__(self, store: Store) -> None:
        self.counts = MetricCounts()
        self._additions = Additions(self.counts)
        self._store = store

    def run_forever(self) -> None:
        while True:
            time.sleep(FLUSH_SECONDS)
            self.flush()

    def flush(self) -> None:
        if (addition := self._additions.next()) is None:
            return
        try:
            self._store.run(add_counts(addition))
        except (StoreUnavailable, QueueFull, RedisError) as error:
            self._additions.failed(error)
        else:
            self._additions.sent()
