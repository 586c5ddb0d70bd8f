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
from dataclasses import dataclass
from typing import Final

from jobs import queries
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.commands import Command
from jobs.tenant import DEFAULT_TENANT, Tenant
from tasks.maintenance.tick import Tick

logger = logging.getLogger(__name__)

_PAGE_SIZE: Final = 250  # about 1 ms of Redis' time
_LOG_SECONDS: Final = 60.0


@dataclass(frozen=True)
class _Index:
    """An index of jobs or documents. ``tenant``: whose they are; for an index of all jobs it says nothing."""

    key: str
    tenant: Tenant = DEFAULT_TENANT
    has_documents: bool = False

    @property
    def record_key(self) -> Callable[[str], str]:
        """The key of a record by its id."""
        return keys.document if self.has_documents else keys.job

    def drop(self, name: str) -> Command[str]:
        """Remove what refers to this ghost."""
        if self.has_documents:
            return transitions.document.forget(name, self.tenant)
        return transitions.delete(name, None, self.tenant)


class GhostSweep:
    """The position of the round of one worker."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._indexes: tuple[_Index, ...] = ()  # of the rest of this round
        self._start = 0  # in the index: entries that come or go meanwhile may hide one from this round
        self._jobs = 0  # not yet logged
        self._documents = 0
        self._logged_at = -math.inf

    async def drop_ghosts(self, tick: Tick) -> None:
        """Check the next page of the round."""
        if not self._indexes:
            self._indexes = _all_indexes(self._queue, await tick.store.run(queries.tenants()))
        index = self._indexes[0]
        ids = await tick.store.run(queries.index_members(index.key, self._start, _PAGE_SIZE))
        ghosts = await tick.store.run(transitions.ghosts({name: index.record_key(name) for name in ids}))
        await asyncio.gather(*(tick.store.run(index.drop(name)) for name in ghosts))
        if ghosts:
            await tick.store.run(transitions.count_ghosts(len(ghosts)))
            self._count(index, len(ghosts))
        self._log_when_due()
        self._start += len(ids) - len(ghosts)
        if len(ids) < _PAGE_SIZE:
            self._start, self._indexes = 0, self._indexes[1:]

    def _count(self, index: _Index, number: int) -> None:
        if index.has_documents:
            self._documents += number
        else:
            self._jobs += number

    def _log_when_due(self) -> None:
        now = time.monotonic()
        if (self._jobs or self._documents) and now - self._logged_at >= _LOG_SECONDS:
            logger.warning("ghosts_dropped jobs=%d documents=%d", self._jobs, self._documents)
            self._jobs, self._documents, self._logged_at = 0, 0, now


def _all_indexes(queue: str, tenants: list[Tenant]) -> tuple[_Index, ...]:
    """Those with the active jobs first: a ghost there makes the queue look longer than it is."""
    states = (keys.index(state) for state in State)
    by_time = (keys.LEASES, keys.WAITING, keys.DEADLINES, keys.EXPIRY)
    of_all = (*states, keys.messages(queue), keys.messages_high(queue), *by_time, keys.INDEX_ALL)
    of_tenants = (
        _Index(keys.tenant_index(tenant, state), tenant)
        for tenant in tenants
        if tenant != DEFAULT_TENANT
        for state in (*State, None)
    )
    documents = (_Index(keys.documents(tenant), tenant, has_documents=True) for tenant in tenants)
    return (*map(_Index, of_all), *of_tenants, *documents)
