"""Ghosts: entries of indexes whose record Redis has evicted or lost. They are dropped, so that counts become right.

Each tick checks one page of one index, and the next tick the page after it: the cost of a tick does not grow with the
number of jobs, and a whole round over a million jobs takes hours. What remains of a lost job, such as its request and
its event log, is removed with it. The file and the chunks of a lost document stay.

The reverse, a record without its entries, arises only when Redis evicts or loses a whole index. It is not repaired:
the next transition of the job writes its entries again, and a record of an ended job expires by itself.

Survives running twice, late or in two workers: a job with a record is never dropped. A new leader starts a new round.

Logs:
    ghosts_dropped  jobs, documents: how many were dropped since the line before; at most once a minute
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Final

from jobs import queries
from jobs.models import DEFAULT_TENANT
from jobs.states import State
from jobs.storage import keys, transitions
from tasks.maintenance.tick import Tick

logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 250  # about 1 ms of Redis' time
_LOG_SECONDS: Final = 60.0


class GhostSweep:
    """The position of the round of one worker."""

    def __init__(self, queue: str) -> None:
        self._indexes: tuple[tuple[str, Callable[[str], str]], ...] = (
            *((index, keys.job) for index in _job_indexes(queue)),
            (keys.documents(DEFAULT_TENANT), keys.document),
        )
        self._position = 0
        self._start = 0  # in the index: entries that come or go meanwhile may hide one from this round
        self._jobs = 0  # not yet logged
        self._documents = 0
        self._logged_at = -math.inf

    async def drop_ghosts(self, tick: Tick) -> None:
        """Check the next page of the round."""
        index, record_key = self._indexes[self._position]
        ids = await tick.store.run(queries.index_members(index, self._start, _PAGE_SIZE))
        ghosts = await tick.store.run(transitions.ghosts({name: record_key(name) for name in ids}))
        if record_key is keys.job:
            await asyncio.gather(*(tick.store.run(transitions.delete(name, None)) for name in ghosts))
            self._jobs += len(ghosts)
        else:
            forgotten = (transitions.document.forget(name, DEFAULT_TENANT) for name in ghosts)
            await asyncio.gather(*map(tick.store.run, forgotten))
            self._documents += len(ghosts)
        if ghosts:
            await tick.store.run(transitions.count_ghosts(len(ghosts)))
        self._log_when_due()
        self._start += len(ids) - len(ghosts)
        if len(ids) < _PAGE_SIZE:
            self._end_index()

    def _end_index(self) -> None:
        self._start = 0
        self._position = (self._position + 1) % len(self._indexes)

    def _log_when_due(self) -> None:
        now = time.monotonic()
        if (self._jobs or self._documents) and now - self._logged_at >= _LOG_SECONDS:
            logger.warning("ghosts_dropped jobs=%d documents=%d", self._jobs, self._documents)
            self._jobs, self._documents, self._logged_at = 0, 0, now


def _job_indexes(queue: str) -> tuple[str, ...]:
    """Those with the active jobs first: a ghost there makes the queue look longer than it is."""
    states = (keys.index(state) for state in State)
    by_time = (keys.LEASES, keys.WAITING, keys.DEADLINES, keys.EXPIRY)
    return (*states, keys.messages(queue), keys.messages_high(queue), *by_time, keys.INDEX_ALL)
