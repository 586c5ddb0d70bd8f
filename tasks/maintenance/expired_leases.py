"""Expired leases: a job whose worker died or was cut off is queued again, ahead of the backlog.

After ``max_worker_losses`` such attempts the job fails. Right after an outage, a restart or a failover of Redis no
lease is judged: no worker could renew its leases during the outage, and a failover may lose the last renewals.

Survives running twice, late or in two workers: the transition refuses a lease that was renewed meanwhile, and a job
that another worker has claimed since. If publishing over another broker fails, the job is queued without a message;
lost_messages.py finds it.

Logs:
    lease_expired  job_id, request_id, owner: the worker whose attempt is given up
"""

import logging
from typing import Final

from jobs import queries
from jobs.models import JobRecord
from jobs.request_id import UNKNOWN
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys, transitions
from tasks.maintenance.tick import MAX_JOBS_PER_TICK, Tick, lease_of

logger = logging.getLogger(__name__)

_OUTAGE_GRACE_SECONDS: Final = (
    2.0  # on top of a lease; by then every live worker has renewed its leases after an outage
)


async def recover_jobs(tick: Tick) -> None:
    if not may_judge_leases(tick.store.seconds_since_outage, tick.primary_seconds, tick.settings.lease_seconds):
        return
    error = JobError(code="worker_lost", message="the worker died or was cut off during the attempt")
    job_ids = await tick.store.run(queries.expired_leases(tick.now_ms, MAX_JOBS_PER_TICK))
    for record in await tick.records(job_ids):
        async with tick.isolated(keys.LEASES, record.job_id):
            await _recover(tick, record, error)


async def _recover(tick: Tick, record: JobRecord, error: JobError) -> None:
    if record.state is not State.IN_PROGRESS or "token" in record.unreadable:  # another version's, or damaged
        await tick.put_off(keys.LEASES, record.job_id)
        return
    request_id = record.request_id or UNKNOWN
    logger.warning("lease_expired job_id=%s request_id=%s owner=%s", record.job_id, request_id, record.owner)
    if is_last_worker_loss(record, tick.settings.max_worker_losses):
        await tick.fail(record, error, "expired")
    else:
        await _requeue(tick, record, error)


def may_judge_leases(seconds_since_outage: float, primary_seconds: float, lease_seconds: float) -> bool:
    """Pure: whether this Redis has been reachable for long enough that an expired lease proves a lost worker."""
    grace = lease_seconds + _OUTAGE_GRACE_SECONDS
    return seconds_since_outage >= grace and primary_seconds >= grace


def is_last_worker_loss(record: JobRecord, max_worker_losses: int) -> bool:
    """Pure: whether the job has no attempt left after its current one is counted as a worker loss."""
    return record.worker_losses + 1 >= max_worker_losses


async def _requeue(tick: Tick, record: JobRecord, error: JobError) -> None:
    command = transitions.release(lease_of(record), error, 0, tick.message_template, "worker_losses")
    if await tick.store.run(command) is not None:
        tick.publish(record.job_id)
