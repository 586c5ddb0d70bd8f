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
from jobs.storage.keys import HIGH_PRIORITY
from jobs.storage.message_template import MessageTemplate
from jobs.storage.server_info import ServerInfo, server_info
from jobs.storage.transitions import Priority
from tasks import app
from tasks.queue_message import messages_left, publish_through_celery

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.5
LEADER_LOCK_MS: Final = 2_000  # longer than a tick's work; a dead holder's duties go on after it
_MAX_PER_TICK: Final = 500
_REJECT_SUBMITS_SECONDS: Final = 5  # renewed by each tick that finds Redis nearly full
_OUTAGE_GRACE_SECONDS: Final = 2.0  # on top of a lease: in this time after an outage every worker has renewed


class Recovery:
    """One for each worker process; ``worker`` is its name in the lock."""

    def __init__(self, worker: str, store: AsyncStore, message_template: MessageTemplate, settings: Settings) -> None:
        self._worker = worker
        self._store = store
        self._message_template = message_template
        self._settings = settings

    async def run_forever(self) -> None:
        for hazard in (await self._store.run(server_info())).hazards:
            logger.warning("redis_config_unsafe %s", hazard)
        while True:
            try:
                if await self._store.run(transitions.become_leader(self._worker, LEADER_LOCK_MS)):
                    await self.tick()
            except Exception as error:  # noqa: BLE001  # a duty that fails once is tried again
                logger.warning("recovery_failed error=%s", type(error).__name__)
            await asyncio.sleep(TICK_SECONDS)

    async def tick(self) -> None:
        """All duties once."""
        now_ms = await self._store.run(queries.server_time_ms())
        server = await self._store.run(server_info())
        if server.is_fuller_than(self._settings.max_memory_percent):
            await self._store.run(transitions.refuse_submits(_REJECT_SUBMITS_SECONDS))
        await self._end_overdue(await self._store.run(queries.overdue(now_ms, _MAX_PER_TICK)), now_ms)
        if self._is_settled_after_outage(server):
            await self._requeue_abandoned(await self._store.run(queries.expired_leases(now_ms, _MAX_PER_TICK)))
        await self._republish(await self._store.run(queries.due_retries(now_ms, _MAX_PER_TICK)))
        await self._republish(await self._undelivered())
        await self._remove_from_indexes(await self._store.run(queries.expired_records(now_ms, _MAX_PER_TICK)))

    async def _end_overdue(self, job_ids: list[str], now_ms: int) -> None:
        for record in await self._records(job_ids):
            action = overdue_action(record, now_ms)
            if action == "cancel":
                await self._store.run(transitions.cancel(record.job_id, record.queue, self._settings))
            elif action is not None:
                await self._fail(record, action, "queued")

    async def _requeue_abandoned(self, job_ids: list[str]) -> None:
        """A job whose worker is gone goes to the head of the queue, or fails when that has happened too often."""
        error = JobError(code="worker_lost", message="the worker died or was cut off during the attempt")
        for record in await self._records(job_ids):
            logger.warning("lease_expired job_id=%s owner=%s", record.job_id, record.owner)
            if record.worker_losses + 1 >= self._settings.max_worker_losses:
                await self._fail(record, error, "expired")
            else:
                await self._release(record, error)

    def _is_settled_after_outage(self, server: ServerInfo) -> bool:
        """After an outage leases have expired that their holders had no chance to renew: nobody is declared dead."""
        grace = self._settings.lease_seconds + _OUTAGE_GRACE_SECONDS
        return self._store.seconds_since_outage >= grace and server.uptime_seconds >= grace

    async def _release(self, record: JobRecord, error: JobError) -> None:
        command = transitions.release(_lease(record), error, 0, self._message_template, "worker_losses")
        if await self._store.run(command) is not None:
            await self._publish_to_broker(record.job_id)

    async def _fail(self, record: JobRecord, error: JobError, precondition: transitions.FinishPrecondition) -> None:
        await self._store.run(transitions.fail(_lease(record), error, None, self._settings, precondition))

    async def _undelivered(self) -> list[str]:
        queue_length = (
            None
            if self._message_template.publishes_in_store
            else await asyncio.to_thread(messages_left, app, self._message_template.queue)
        )
        priorities: tuple[Priority, ...] = ("high", "normal")
        found = [
            await self._store.run(
                transitions.undelivered(self._message_template, priority, queue_length, _MAX_PER_TICK)
            )
            for priority in priorities
        ]
        return [job_id for job_ids in found for job_id in job_ids]

    async def _republish(self, job_ids: list[str]) -> None:
        """Due jobs, and those whose message is lost, get one before the backlog."""
        for job_id in job_ids:
            if await self._store.run(transitions.republish(job_id, self._message_template)) == "republished":
                await self._publish_to_broker(job_id)

    async def _publish_to_broker(self, job_id: str) -> None:
        if not self._message_template.publishes_in_store:
            await asyncio.to_thread(publish_through_celery, app, job_id, self._message_template.queue, HIGH_PRIORITY)

    async def _remove_from_indexes(self, job_ids: list[str]) -> None:
        """Records vanish by themselves; their entries in the indexes are cleared here."""
        await asyncio.gather(*(self._store.run(transitions.delete(job_id, None)) for job_id in job_ids))

    async def _records(self, job_ids: list[str]) -> list[JobRecord]:
        found = await asyncio.gather(*(self._store.run(queries.record(job_id)) for job_id in job_ids))
        return [record for record in found if record is not None]


def overdue_action(record: JobRecord, now_ms: int) -> JobError | Literal["cancel"] | None:
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
