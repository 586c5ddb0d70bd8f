"""Time limits: ends queued jobs whose deadline or start_by has passed, and any job whose cancel_after has passed.

The deadline of a running job is enforced by its worker.

Survives running twice, late or in two workers: a job that was claimed meanwhile is not failed, and a job that has
ended is neither failed nor cancelled.
"""

from typing import Literal

from jobs import queries
from jobs.models import JobRecord
from jobs.results import JobError
from jobs.states import State
from jobs.storage import transitions
from tasks.maintenance.tick import MAX_JOBS_PER_TICK, Tick


async def end_overdue_jobs(tick: Tick) -> None:
    job_ids = await tick.store.run(queries.overdue(tick.now_ms, MAX_JOBS_PER_TICK))
    for record in await tick.records(job_ids):
        action = overdue_action(record, tick.now_ms)
        if action == "cancel":
            await tick.store.run(transitions.cancel(record.job_id, record.queue, tick.settings))
        elif action is not None:
            await tick.fail(record, action, "queued")


def overdue_action(record: JobRecord, now_ms: int) -> JobError | Literal["cancel"] | None:
    """Pure: "cancel", the error with which the job fails, or None when no limit that recovery enforces has passed."""
    if record.cancel_at_ms is not None and record.cancel_at_ms <= now_ms:
        return "cancel"
    if record.state is not State.QUEUED:
        return None
    if record.deadline_ms is not None and record.deadline_ms <= now_ms:
        return JobError(code="deadline_exceeded", message="the job's deadline passed while it was queued")
    if record.started_at_ms is None and record.start_by_ms is not None and record.start_by_ms <= now_ms:
        return JobError(code="not_started_in_time", message="no attempt started within the job's start_by_seconds")
    return None
