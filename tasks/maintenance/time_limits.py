"""Time limits: ends queued jobs whose deadline or start_by has passed, and any job whose cancel_after has passed.

The deadline of a running job is enforced by its worker. A job in a state that this version does not know, or with
damaged limits, is cancelled.

Survives running twice, late or in two workers: a job that was claimed meanwhile is not failed, and a job that has
ended is neither failed nor cancelled.
"""

from typing import Final, Literal

from jobs import queries
from jobs.errors import RequestUnreadable
from jobs.models import JobRecord
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys, transitions
from tasks.maintenance.tick import MAX_JOBS_PER_TICK, Tick

_PUT_BACK_MESSAGES: Final = {
    "no_capable_worker": "until the job's time was up, no worker could do what it needs; start workers of the version "
    "that accepted it",
    RequestUnreadable.code: "until the job's time was up, no worker could read the request: another version wrote it, "
    "or it is damaged",
}
# What a fail must read. A cancel needs to read nothing, so it ends the jobs that cannot be failed.
_NEEDED_TO_FAIL: Final = frozenset({"state", "token", "deadline_ms", "start_by_ms", "cancel_at_ms"})


async def end_overdue_jobs(tick: Tick) -> None:
    job_ids = await tick.store.run(queries.overdue(tick.now_ms, MAX_JOBS_PER_TICK))
    for record in await tick.records(job_ids):
        async with tick.isolated(keys.DEADLINES, record.job_id):
            await _end(tick, record)


async def _end(tick: Tick, record: JobRecord) -> None:
    action = overdue_action(record, tick.now_ms)
    if action == "cancel":
        await tick.store.run(transitions.cancel(record.job_id, record.queue, tick.settings))
    elif action is not None:
        await tick.fail(record, action, "queued")
    elif record.state is not State.IN_PROGRESS:
        await tick.put_off(keys.DEADLINES, record.job_id)


def overdue_action(record: JobRecord, now_ms: int) -> JobError | Literal["cancel"] | None:
    """Pure: "cancel", the error with which the job fails, or None when no limit that recovery enforces has passed."""
    if record.cancel_at_ms is not None and record.cancel_at_ms <= now_ms:
        return "cancel"
    if record.state is None or record.unreadable.keys() & _NEEDED_TO_FAIL:
        return "cancel" if not record.is_final else None
    if record.state is not State.QUEUED:
        return None
    if record.deadline_ms is not None and record.deadline_ms <= now_ms:
        return _put_back_error(record) or JobError(
            code="deadline_exceeded", message="the job's deadline passed while it was queued"
        )
    if record.started_at_ms is None and record.start_by_ms is not None and record.start_by_ms <= now_ms:
        return _put_back_error(record) or JobError(
            code="not_started_in_time", message="no attempt started within the job's start_by_seconds"
        )
    return None


def _put_back_error(record: JobRecord) -> JobError | None:
    """The error of a job that every worker has put back until its time was up; None for any other job."""
    message = _PUT_BACK_MESSAGES.get(record.error_code or "")
    return JobError(code=record.error_code or "", message=message) if message else None
