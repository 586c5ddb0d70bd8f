"""Reads of a tenant's jobs, most in one or two round trips. The commands are in ``queries``."""

import time
from collections.abc import Iterable
from typing import Final

from jobs import queries
from jobs.base import FrozenModel
from jobs.errors import InvalidRequest, QueueFull, RightsMissing, StoreUnavailable, no_such_job
from jobs.models import JobDetails, JobRecord, JobView, QueuePosition
from jobs.results import JobError
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import celery_result
from jobs.storage.commands import Command
from jobs.storage.reply_errors import RETRY_AFTER_SECONDS, missing_right
from jobs.storage.rights import in_words, missing_rights
from jobs.storage.server_info import write_probe
from jobs.storage.sync_store import Store
from jobs.tenant_store import TenantStore

MAX_PAGE_ROUND_TRIPS: Final = 5  # further reads of the index when expired records leave a page short
MAX_CURSOR_DIGITS: Final = 16  # hexadecimal; far beyond any order of creation
MAX_RETRY_PAGES: Final = 20
_STATES_WITH_OUTCOME: Final = (State.COMPLETED, State.INCOMPLETE, State.FAILED)
_ANSWER_LOST: Final = JobError(code="answer_lost", message="the stored outcome is gone: Redis has evicted or lost it")
RETRY_PAGE_SIZE: Final = 500  # records read in one round trip during a bulk retry


class FoundRecords(FrozenModel):
    """Records in the order of the requested ids, and the ids without a record."""

    records: tuple[JobRecord, ...]
    unknown: tuple[str, ...]


class JobPage(FrozenModel):
    """Records, the newest first; ``next_cursor`` is None on the last page."""

    records: tuple[JobRecord, ...]
    next_cursor: str | None


class RetryCandidates(FrozenModel):
    """Jobs to retry. ``has_more``: some exceed the limit, or there are more jobs than one call examines."""

    records: tuple[JobRecord, ...]
    has_more: bool


def record(store: TenantStore, job_id: str) -> JobRecord:
    """One record with its queue position. Raises JobNotFound, also for a malformed id."""
    found = records(store, [job_id]).records
    if not found:
        raise no_such_job("job_id")
    return found[0]


def details(store: TenantStore, job_id: str) -> JobDetails:
    """One record with its failed attempts. Raises JobNotFound, also for a malformed id."""
    found, values = store.read_job(job_id, queries.queue_position, _has_taker, queries.failed_attempts)
    if found is None:
        raise no_such_job("job_id")
    position, has_taker, failed = values
    return JobDetails(record=_with_queue_position(found, position, has_taker), failed_attempts=failed)


def retryable(store: TenantStore, state: State, error_code: str | None, limit: int) -> RetryCandidates:
    """Jobs that ended in this state, with this code, and have not been retried yet, the newest first."""
    found: list[JobRecord] = []
    cursor: str | None = None
    for _ in range(MAX_RETRY_PAGES):
        listed = page(store, state, cursor, RETRY_PAGE_SIZE)
        found += [job for job in listed.records if job.retried_as is None and error_code in {None, job.error_code}]
        cursor = listed.next_cursor
        if cursor is None or len(found) > limit:
            break
    return RetryCandidates(records=tuple(found[:limit]), has_more=cursor is not None or len(found) > limit)


def view(store: TenantStore, job_id: str, result: bytes | None = None) -> JobView:
    """A record with its queue position, or with its outcome once it is final.

    ``result``: the stored result, if it was published; then only the record is read, unless the result is unreadable.
    Raises JobNotFound, also for a malformed id.
    """
    if result is not None and (published := celery_result.read(result))[1] is not celery_result.ANSWER_UNREADABLE:
        ended, _ = store.read_job(job_id)
        if ended is not None and ended.is_final:
            return final_view(store, ended, published)
    found, values = store.read_job(job_id, queries.outcome, queries.queue_position, _has_taker)
    if found is None:
        raise no_such_job("job_id")
    outcome, position, has_taker = values
    if found.is_final:
        return final_view(store, found, outcome)
    return JobView(record=_with_queue_position(found, position, has_taker))


def final_view(store: TenantStore, job: JobRecord, outcome: queries.Outcome, param: str = "job_id") -> JobView:
    """A final job with its outcome. An answer or an error that Redis has lost is the error ``answer_lost``.

    The outcome was read a moment after the record. Raises JobNotFound for a job that was deleted in between.
    """
    answer, error = outcome
    is_lost = answer is None and error is None and job.state in _STATES_WITH_OUTCOME
    if is_lost:
        require_existing(store, job.job_id, param)
    return JobView(record=job, answer=answer, error=_ANSWER_LOST if is_lost else error)


def require_existing(store: TenantStore, job_id: str, param: str) -> None:
    """Raises JobNotFound if the job has no record now: what is missing was deleted with it, and is not lost."""
    if store.read_job(job_id)[0] is None:
        raise no_such_job(param)


def records(store: TenantStore, job_ids: Iterable[str]) -> FoundRecords:
    """Many records in one round trip; a repeated id gives one record."""
    requested_ids = list(dict.fromkeys(job_ids))
    rows, (has_taker,) = store.read_jobs(requested_ids, queries.queue_position, beside=[queries.has_taker()])
    found = {job_id: _with_queue_position(job, position, has_taker) for job_id, (job, (position,)) in rows.items()}
    return FoundRecords(
        records=tuple(found.values()), unknown=tuple(job_id for job_id in requested_ids if job_id not in found)
    )


def page(store: TenantStore, state: State | None, cursor: str | None, limit: int) -> JobPage:
    """The newest jobs of one state, or of all. Raises InvalidRequest for a malformed cursor.

    Expired records are left out, so a page that is not the last one may be shorter than ``limit``.
    """
    before = decode_cursor(cursor)
    collected: list[JobRecord] = []
    for _ in range(MAX_PAGE_ROUND_TRIPS):
        entries = store.page(state, before, limit + 1)
        collected += _still_in_state(store, entries[:limit], state)
        if len(collected) >= limit:
            last = collected[limit - 1].job_id
            cursor = None if last == entries[-1][0] else encode_cursor(dict(entries)[last])
            return JobPage(records=tuple(collected[:limit]), next_cursor=cursor)
        if len(entries) <= limit:
            return JobPage(records=tuple(collected), next_cursor=None)
        before = entries[limit - 1][1]
    return JobPage(records=tuple(collected), next_cursor=None if before is None else encode_cursor(before))


def probe(store: Store) -> float:
    """Write to Redis and return the duration in ms. Raises StoreUnavailable, also when Redis is full."""
    started = time.perf_counter()
    try:
        store.run(write_probe())
    except QueueFull as error:
        raise StoreUnavailable(error.message, retry_after_seconds=RETRY_AFTER_SECONDS) from error
    return (time.perf_counter() - started) * 1000


def require_rights(store: Store, settings: Settings) -> None:
    """Raises RightsMissing, and StoreUnavailable if Redis cannot be asked."""
    try:
        missing = store.run(missing_rights("web", settings))
    except StoreUnavailable as error:
        if right := missing_right(error.__cause__):
            raise _rights_missing(right) from error
        raise
    if missing:
        raise _rights_missing(in_words(missing))


def _rights_missing(missing: str) -> RightsMissing:
    return RightsMissing(missing, retry_after_seconds=RETRY_AFTER_SECONDS)


def _has_taker(_: str) -> Command[bool]:
    return queries.has_taker()


def _still_in_state(store: TenantStore, entries: list[tuple[str, int]], state: State | None) -> list[JobRecord]:
    """The records of these index entries that have not expired and are in ``state`` now (None: in any state)."""
    found = records(store, [job_id for job_id, _ in entries]).records
    return [job for job in found if state is None or job.state is state]


def _with_queue_position(job: JobRecord, position: QueuePosition | None, has_taker: bool) -> JobRecord:
    """The position was read a moment after the record: a job that was claimed in between has none."""
    if job.state is not State.QUEUED or position is None:
        return job
    return with_estimate_if_taken(job.model_copy(update=dict(position)), has_taker)


def with_estimate_if_taken(job: JobRecord, has_taker: bool) -> JobRecord:
    """A recent throughput says nothing about the wait while no worker takes jobs."""
    if has_taker or job.estimated_wait_ms is None:
        return job
    return job.model_copy(update={"estimated_wait_ms": None})


def encode_cursor(seq: int) -> str:
    return f"{seq:x}"


def decode_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isalnum() or len(cursor) > MAX_CURSOR_DIGITS:
        raise InvalidRequest("cursor: use the next_cursor of an earlier page", param="cursor")
    try:
        return int(cursor, 16)
    except ValueError:
        raise InvalidRequest("cursor: use the next_cursor of an earlier page", param="cursor") from None
