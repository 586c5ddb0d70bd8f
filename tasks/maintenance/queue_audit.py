"""The audit of the queue: repairs what does not add up after a fault of Redis or of another version.

    every 10 seconds  a page of queued jobs: one that waits nowhere enters its line
                      the counts of calls are compared with the jobs in progress
                      the sizes of requests and documents are added up, while there are not many
    every minute      the configured targets and limits are written again

Survives running twice, late or in two workers: a repair of what is right changes nothing.

Logs:
    queue_repaired  jobs, targets: how many jobs have entered their line, and how many targets had wrong counts
    sizes_repaired  requests, documents: whether the size of all requests and that of all documents were wrong
"""

import logging
import time
from typing import Any, Final

from jobs import queries
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.commands import Command
from tasks.maintenance.tick import Tick

logger = logging.getLogger(__name__)

_AUDIT_SECONDS: Final = 10.0
_CONFIGURE_SECONDS: Final = 60.0
_PAGE_SIZE: Final = 500  # about 2 ms of Redis' time


class QueueAudit:
    """The position of one worker in its round over the queued jobs."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._start = 0
        self._audited_at = self._configured_at = float("-inf")

    async def run(self, tick: Tick) -> None:
        now = time.monotonic()
        if now - self._configured_at >= _CONFIGURE_SECONDS:
            await tick.store.run(configuration_command(tick.settings))
            self._configured_at = now
        if now - self._audited_at >= _AUDIT_SECONDS:
            await self._audit(tick)
            self._audited_at = now

    async def _audit(self, tick: Tick) -> None:
        ids = await tick.store.run(queries.index_members(keys.index(State.QUEUED), self._start, _PAGE_SIZE))
        jobs, targets = await tick.store.run(transitions.audit_queue(self._queue, ids))
        if jobs or targets:
            logger.warning("queue_repaired jobs=%d targets=%d", jobs, targets)
        tenants = await tick.store.run(queries.tenants())
        requests, documents = await tick.store.run(transitions.audit_sizes(tenants))
        if requests or documents:
            logger.warning("sizes_repaired requests=%s documents=%s", requests, documents)
        self._start = 0 if len(ids) < _PAGE_SIZE else self._start + len(ids)


def configuration_command(settings: Settings) -> Command[None]:
    """Write the targets of each pool and the configured limits, for the scripts that choose a target."""
    registry = settings.providers
    limits: dict[str, dict[str, Any]] = {}
    for name, configured in registry.limits_of().items():
        fields = configured.model_dump(exclude={"count"}, exclude_none=True)
        if fields:
            limits[name] = fields
    token_counts = {name: configured.count or "reserved" for name, configured in registry.limits_of().items()}
    return transitions.configure_targets(registry.routes(), limits, token_counts)
