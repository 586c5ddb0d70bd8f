"""Recovery duties: what has to happen to jobs that no worker holds. They run in every worker, one holder at a time.

Each duty asks Redis which jobs may need it and then sends one guarded verb for each: what has changed meanwhile is
refused by the verb, so a duty done twice, late or by two workers does no harm.
"""

import asyncio
import logging
from typing import Final, Literal

from jobs import queries
from jobs.models import JobRecord, Lease
from jobs.results import JobError
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.keys import FRONT_PRIORITY
from jobs.storage.message_template import Bell
from jobs.storage.server_info import ServerInfo, server_info
from jobs.storage.transitions import Lane
from tasks import app
from tasks.queue_message import bells_left, ring_through_celery

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
LOCK_MS: Final = 2_000  # longer than a tick's work; a dead holder's duties go on after it
_MOST_IN_ONE_TICK: Final = 500
_REFUSE_SECONDS: Final = 5  # renewed by each tick that finds Redis nearly full
_RETURN_SECONDS: Final = 2.0  # on top of a lease: in this time after an outage every worker has renewed


class Recovery:
    """One for each worker process; ``worker`` is its name in the lock."""

    def __init__(self, worker: str, store: AsyncStore, bell: Bell, settings: Settings) -> None:
        self._worker = worker
        self._store = store
        self._bell = bell
        self._settings = settings

    async def run_forever(self) -> None:
        for hazard in (await self._store.run(server_info())).hazards:
            logger.warning("unsafe_redis %s", hazard)
        while True:
            try:
                if await self._store.run(transitions.take_duty(self._worker, LOCK_MS)):
                    await self.tick()
            except Exception as error:  # noqa: BLE001  # a duty that fails once is tried again
                logger.warning("recovery_failed error=%s", type(error).__name__)
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """All duties once."""
        now_ms = await self._store.run(queries.server_time_ms())
        server = await self._store.run(server_info())
        if server.is_fuller_than(self._settings.max_memory_percent):
            await self._store.run(transitions.refuse_submits(_REFUSE_SECONDS))
        await self._end_overdue(await self._store.run(queries.overdue(now_ms, _MOST_IN_ONE_TICK)), now_ms)
        if self._has_settled(server):
            await self._take_back(await self._store.run(queries.abandoned(now_ms, _MOST_IN_ONE_TICK)))
        await self._ring(await self._store.run(queries.due(now_ms, _MOST_IN_ONE_TICK)))
        await self._ring(await self._unrung())
        await self._forget(await self._store.run(queries.expired(now_ms, _MOST_IN_ONE_TICK)))

    async def _end_overdue(self, job_ids: list[str], now_ms: int) -> None:
        for record in await self._records(job_ids):
            end = overdue(record, now_ms)
            if end == "cancel":
                await self._store.run(transitions.cancel(record.job_id, record.queue, self._settings))
            elif end is not None:
                await self._fail(record, end, "queued")

    async def _take_back(self, job_ids: list[str]) -> None:
        """A job whose worker is gone goes to the head of the queue, or fails when that has happened too often."""
        error = JobError(code="worker_lost", message="the worker died or was cut off during the attempt")
        for record in await self._records(job_ids):
            logger.warning("lease_expired job_id=%s owner=%s", record.job_id, record.owner)
            if record.deaths + 1 >= self._settings.max_deaths:
                await self._fail(record, error, "expired")
            else:
                await self._release(record, error)

    def _has_settled(self, server: ServerInfo) -> bool:
        """After an outage leases have expired that their holders had no chance to renew: nobody is declared dead."""
        grace = self._settings.lease_seconds + _RETURN_SECONDS
        return self._store.seconds_since_outage >= grace and server.uptime_seconds >= grace

    async def _release(self, record: JobRecord, error: JobError) -> None:
        command = transitions.release(_lease(record), error, 0, self._bell, "deaths")
        if await self._store.run(command) is not None:
            await self._ring_elsewhere(record.job_id)

    async def _fail(self, record: JobRecord, error: JobError, ender: transitions.Ender) -> None:
        await self._store.run(transitions.fail(_lease(record), error, None, self._settings, ender))

    async def _unrung(self) -> list[str]:
        left = None if self._bell.rings_in_store else await asyncio.to_thread(bells_left, app, self._bell.queue)
        lanes: tuple[Lane, ...] = ("front", "normal")
        found = [await self._store.run(transitions.unrung(self._bell, lane, left, _MOST_IN_ONE_TICK)) for lane in lanes]
        return [job_id for job_ids in found for job_id in job_ids]

    async def _ring(self, job_ids: list[str]) -> None:
        """Due jobs, and those whose bell is lost, get one before the backlog."""
        for job_id in job_ids:
            if await self._store.run(transitions.ring(job_id, self._bell)) == "rung":
                await self._ring_elsewhere(job_id)

    async def _ring_elsewhere(self, job_id: str) -> None:
        if not self._bell.rings_in_store:
            await asyncio.to_thread(ring_through_celery, app, job_id, self._bell.queue, FRONT_PRIORITY)

    async def _forget(self, job_ids: list[str]) -> None:
        """Records vanish by themselves; their entries in the indexes are cleared here."""
        await asyncio.gather(*(self._store.run(transitions.delete(job_id, None)) for job_id in job_ids))

    async def _records(self, job_ids: list[str]) -> list[JobRecord]:
        found = await asyncio.gather(*(self._store.run(queries.record(job_id)) for job_id in job_ids))
        return [record for record in found if record is not None]


def overdue(record: JobRecord, now_ms: int) -> JobError | Literal["cancel"] | None:
    """What a time limit that has passed asks of recovery; a running job's deadline is its worker's to keep."""
    if record.cancel_at_ms is not None and record.cancel_at_ms <= now_ms:
        return "cancel"
    if record.state is not State.QUEUED:
        return None
    if record.deadline_ms is not None and record.deadline_ms <= now_ms:
        return JobError(code="deadline_exceeded", message="the job's deadline passed while it was queued")
    if record.started_at_ms is None and record.start_by_ms is not None and record.start_by_ms <= now_ms:
        return JobError(code="not_started_in_time", message="no attempt had begun by the job's start_by_seconds")
    return None


def _lease(record: JobRecord) -> Lease:
    """The lease of the record's latest attempt, under which recovery settles for its holder."""
    return Lease(job_id=record.job_id, queue=record.queue, token=record.token, attempt=record.attempts, log_length=0)
