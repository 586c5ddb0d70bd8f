"""create: a request becomes a job."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.errors import IdempotencyConflict, QueueFull, no_memory, no_such_job
from jobs.kinds import needs_of, write_request
from jobs.kinds.base import JobRequest
from jobs.models import PREVIEW_BYTES, JobRecord, Lane, NewJob, QueuePosition
from jobs.request_fingerprint import fingerprint, idempotency_digest
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.scripts import Argument, NamedArguments
from jobs.storage.transitions.shared_arguments import dispatch_keys, milliseconds, pairs
from jobs.tenant import Tenant

QUEUE_FULL_RETRY_SECONDS: Final = 5  # Retry-After of the 429: a guess at how soon a full queue has room again


@dataclass(frozen=True)
class Created:
    """``record`` is the new job's record; None if an equal request (same key, retry, resend) created the job before."""

    job_id: str
    record: JobRecord | None = None

    @property
    def is_new(self) -> bool:
        return self.record is not None


def create(job: NewJob, message_template: MessageTemplate, settings: Settings) -> Command[Created]:
    """Write the job's record, and publish its message if a slot is free for it. Otherwise it waits in its line.

    Reading the reply raises IdempotencyConflict (same key, another request), QueueFull, or JobNotFound if the job
    to retry no longer exists.
    """
    (minute, minute_before), elapsed_ms = keys.throughput(time.time())
    dedup = _deduplication(job, settings)
    fields = {name: value for name, value in _record(job).items() if value is not None} | dedup.fields
    return script_command(
        "create",
        keys={
            **dispatch_keys(job.queue),
            "job": keys.job(job.job_id),
            "request": keys.request(job.job_id),
            "all_index": keys.INDEX_ALL,
            "queued_index": keys.index(State.QUEUED),
            "totals": keys.TOTALS,
            "minute": minute,
            "deadlines": keys.DEADLINES,
            "full": keys.FULL,
            "bytes": keys.BYTES,
            "minute_before": minute_before,
            "dedup": dedup.key,
        },
        args={
            **_args(job, message_template.normal, settings),
            "dedup_mode": dedup.mode,
            "dedup_token": dedup.dedup_token,
            "dedup_ttl": dedup.ttl_seconds,
            "elapsed_ms": elapsed_ms,
            "fields": pairs(fields),
        },
        read=lambda reply: _read_created(job, fields, settings, reply),
        must_be_safe=True,
    )


def _args(job: NewJob, message: str, settings: Settings) -> NamedArguments:
    return {
        "id": job.job_id,
        "tenant": job.tenant,
        "max_queued": settings.max_queued,
        "max_bytes": settings.max_queued_bytes,
        "message": message,
        "body": write_request(job.request),
        "pool": job.place.pool,
        "deadline_ms": milliseconds(job.deadline_seconds),
        "start_by_ms": _milliseconds_or_none(job.start_by_seconds),
        "cancel_after_ms": _milliseconds_or_none(job.cancel_after_seconds),
    }


@dataclass(frozen=True)
class Deduplication:
    """How equal requests find one job; see dedup_mode in create.lua. ``fields`` are added to the new job's record."""

    mode: str = ""
    key: str | None = None
    dedup_token: str = ""
    ttl_seconds: int = 0
    fields: dict[str, Argument] = field(default_factory=dict)


def _deduplication(job: NewJob, settings: Settings) -> Deduplication:
    if job.retry_of is not None:
        return Deduplication("retry", keys.job(job.retry_of))
    if job.idempotency_key is None:
        return Deduplication()
    digest = idempotency_digest(job.idempotency_key)
    if job.resend_count is not None:
        key = keys.resends(job.tenant, digest)
        return Deduplication("resend", key, str(job.resend_count), settings.resend_window_seconds)
    return Deduplication(
        "idempotency_key",
        keys.idempotency(job.tenant, digest),
        fingerprint(job.request),
        settings.idempotency_ttl_seconds,
        {"idempotency": digest},
    )


def _record(job: NewJob) -> dict[str, Argument | None]:
    return {
        "kind": job.request.kind,
        "needs": " ".join(needs_of(job.request)),
        "tenant": job.tenant,
        "queue": job.queue,
        "pool": job.place.pool,
        "lane": None if job.place.lane is Lane.INTERACTIVE else job.place.lane,
        "fair_key": job.place.fair_key,
        "input_tokens": job.input_tokens,
        "max_output_tokens": job.max_output_tokens,
        "max_attempts": job.max_attempts,
        "preview": preview(job.request),
        "model": job.request.model,
        "retry_of": job.retry_of,
        "request_id": job.request_id,
        "result_ttl": job.result_ttl_seconds,
        "events_ttl": job.events_ttl_seconds,
    }


def mark_answered(tenant: Tenant, idempotency_key: str, job_id: str) -> Command[None]:
    """Record that the call that created or found this job has its answer: a later equal request is another call."""
    return script_command(
        "mark_answered",
        keys={"resends": keys.resends(tenant, idempotency_digest(idempotency_key))},
        args={"id": job_id},
        read=lambda _: None,
    )


def _milliseconds_or_none(seconds: float | None) -> Argument:
    return "" if seconds is None else milliseconds(seconds)


def _read_created(job: NewJob, fields: dict[str, Argument], settings: Settings, reply: list[Any]) -> Created:
    status, detail = map(text, reply[:2])
    if status == "created":
        return Created(detail, _new_record(job, fields, QueuePosition.from_reply(reply[4:]), *map(int, reply[2:4])))
    if status == "conflict":
        raise IdempotencyConflict(
            "this Idempotency-Key was used with another request body; use a new key for a new request",
            param="Idempotency-Key",
        )
    if status == "full":
        raise QueueFull(
            f"the queue is full: {detail} jobs are queued; try again later",
            retry_after_seconds=QUEUE_FULL_RETRY_SECONDS,
        )
    if status == "full_of_bytes":
        raise _full_of_bytes(int(detail), settings.max_queued_bytes)
    if status == "no_memory":
        raise no_memory()
    if status == "gone":
        raise no_such_job("task_id")
    return Created(detail)


def _full_of_bytes(size: int, max_bytes: int) -> QueueFull:
    return QueueFull(
        f"the queue is full: with this request, the requests of all jobs that have not ended would have {size} bytes, "
        f"and at most {max_bytes} are allowed; try again later",
        retry_after_seconds=QUEUE_FULL_RETRY_SECONDS,
    )


def _new_record(job: NewJob, fields: dict[str, Argument], position: QueuePosition, now_ms: int, seq: int) -> JobRecord:
    """The record as the script has written it, which saves reading it back; a test compares the two."""
    limits = {
        name: now_ms + milliseconds(seconds)
        for name, seconds in (
            ("deadline_ms", job.deadline_seconds),
            ("start_by_ms", job.start_by_seconds),
            ("cancel_at_ms", job.cancel_after_seconds),
        )
        if seconds is not None
    }
    return JobRecord(
        job_id=job.job_id,
        state=State.QUEUED,
        version=1,
        seq=seq,
        attempts=0,
        created_at_ms=now_ms,
        **dict(position),
        **limits,
        **fields,
    )


def preview(request: JobRequest) -> str:
    """The start of the request's text, at most PREVIEW_BYTES bytes long."""
    line = " ".join(request.preview_text[: PREVIEW_BYTES * 2].split())
    if len(line.encode()) <= PREVIEW_BYTES:
        return line
    return line.encode()[: PREVIEW_BYTES - len("…".encode())].decode(errors="ignore") + "…"
