"""One tick of recovery: the data and operations that its maintenance tasks share.

Logs:
    job_put_off  job_id, index, error: Redis refuses the command for this job; tried again after a minute
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from redis.exceptions import ResponseError

from jobs import queries
from jobs.models import JobRecord, Lease
from jobs.priorities import HIGH_PRIORITY
from jobs.results import JobError
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.message_template import MessageTemplate
from jobs.storage.server_info import ServerInfo
from tasks.broker import OutgoingMessage
from tasks.publisher import Publisher

logger = logging.getLogger(__name__)

_PUT_OFF_MS: Final = 60_000
_BROKER_SECONDS: Final = 0.5  # for the broker's answer; the other tasks of the leader must not wait for longer
MAX_JOBS_PER_TICK: Final = 500  # for each task; the rest follow in the next tick


@dataclass(frozen=True)
class Tick:
    """The clock and the state of Redis, read once per tick, and the operations of the tasks."""

    store: AsyncStore
    message_template: MessageTemplate
    publisher: Publisher
    settings: Settings
    now_ms: int  # by the clock of Redis
    server: ServerInfo
    primary_seconds: float  # since that server became the primary, by a failover or a restart

    async def records(self, job_ids: Iterable[str]) -> list[JobRecord]:
        """The records of these jobs, without those that have expired."""
        found = await asyncio.gather(*(self.store.run(queries.record(job_id)) for job_id in job_ids))
        return [record for record in found if record is not None]

    @asynccontextmanager
    async def isolated(self, index: str, job_id: str) -> AsyncIterator[None]:
        """Handle one job. If Redis refuses to, because its record is damaged, the others go on and it is put off."""
        try:
            yield
        except ResponseError as error:
            logger.warning("job_put_off job_id=%s index=%s error=%s", job_id, index, type(error).__name__)
            await self.put_off(index, job_id)

    async def put_off(self, index: str, job_id: str) -> None:
        """Look at this entry again later, so that entries that nobody here can handle do not hide those behind them."""
        await self.store.run(transitions.put_off(index, job_id, self.now_ms + _PUT_OFF_MS))

    async def fail(self, record: JobRecord, error: JobError, precondition: transitions.FinishPrecondition) -> None:
        """End a job that no worker holds. Does nothing when the precondition no longer holds."""
        await self.store.run(transitions.fail(lease_of(record), error, None, self.settings, precondition))

    def publish(self, job_id: str) -> None:
        """Have the job's message published with high priority, unless the preceding transition has published it."""
        if not self.message_template.publishes_in_store:
            self.publisher.publish(OutgoingMessage(job_id, self.message_template.queue, HIGH_PRIORITY))

    async def count_messages(self) -> int | None:
        """Messages that wait at a broker other than Redis; None if it does not answer now."""
        try:
            counted = asyncio.wrap_future(self.publisher.count_messages(self.message_template.queue))
            return await asyncio.wait_for(counted, _BROKER_SECONDS)
        except Exception:  # noqa: BLE001  # no error of a broker may end the tick; the publisher logs it
            return None


def lease_of(record: JobRecord) -> Lease:
    """The lease of the job's latest attempt, under which recovery writes in place of the lost worker."""
    return Lease(
        job_id=record.job_id,
        queue=record.queue,
        token=record.token,
        attempt=record.attempts,
        log_length=0,
        request_id=record.request_id,
    )
