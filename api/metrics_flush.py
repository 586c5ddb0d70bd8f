"""Adds the counts of a web process to those of all processes, every few seconds and when the process ends.

Logs:
    metrics_not_added  error: Redis is away or refuses the counts; they are sent again
"""

import logging
import time

from redis.exceptions import RedisError

from jobs.errors import QueueFull, StoreUnavailable
from jobs.metrics import FLUSH_SECONDS, Additions, MetricCounts
from jobs.repeated_problem import RepeatedProblem
from jobs.storage.sync_store import Store
from jobs.storage.transitions import add_counts

logger = logging.getLogger(__name__)


class MetricsFlush:
    def __init__(self, store: Store) -> None:
        self.counts = MetricCounts()
        self._additions = Additions(self.counts)
        self._store = store
        self._problem = RepeatedProblem()

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
            if self._problem.is_new(type(error).__name__):
                logger.warning("metrics_not_added error=%s", type(error).__name__)
            return
        self._additions.sent()
        self._problem.end()
