"""create: a request becomes a job."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from jobs.errors import IdempotencyConflict, QueueFull, no_memory, no_such_job
from jobs.idempotency import fingerprint, idempotency_digest
from jobs.kinds.base import JobRequest
from jobs.models import PREVIEW_BYTES, JobRecord, NewJob, QueuePosition
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Argument, Command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions.encoding import milliseconds

QUEUE_FULL_RETRY_SECONDS: Final = 5  # a guess at how soon a full queue has room again; Retry-After of the 429


@dataclass(frozen=True)
class Created:
    """``record`` is that of a new job; None when the Idempotency-Key, or the retry, had made the job before."""

    job_id: str
    record: JobRecord | None = None

    @property
    def is_new(self) -> bool:
        return self.record is not None


def create(job: NewJob, message_template: MessageTemplate, settings: Settings) -> Command[Created]:
    """Write the job down and, where Redis is the broker too, publish its message.

    The answer raises IdempotencyConflict (same key, another request), QueueFull, or JobNotFound when the job that it
    repeats is not there any more.
    """
    names, elapsed_ms = _names(job, message_template)
    dedup = _deduplication(job, settings)
    fields = {name: value for name, value in _record(job).items() if value is not None} | dedup.fields
    args: list[Argument] = [
        job.job_id,
        dedup.dedup_token,
        dedup.ttl_seconds,
        settings.max_queued,
        message_template.normal,
        job.request.model_dump_json(exclude_defaults=True),
        milliseconds(job.deadline_seconds),
        dedup.mode,
        _milliseconds_or_none(job.start_by_seconds),
        _milliseconds_or_none(job.cancel_after_seconds),
        elapsed_ms,
        *(argument for pair in fields.items() for argument in pair),
    ]
    return script_command("create", [*names, *dedup.names], args, lambda reply: _read_created(job, fields, reply))


@dataclass(frozen=True)
class Deduplication:
    """What makes the job be created once: see create.lua."""

    mode: str = ""
    names: tuple[str, ...] = ()
    dedup_token: str = ""
    ttl_seconds: int = 0
    fields: dict[str, Argument] = field(default_factory=dict)


def _deduplication(job: NewJob, settings: Settings) -> Deduplication:
    if job.retry_of is not None:
        return Deduplication("retry", (keys.job(job.retry_of),))
    if job.idempotency_key is None:
        return Deduplication()
    digest = idempotency_digest(job.idempotency_key)
    if job.resend_count is not None:
        resends = keys.resends(job.tenant, digest)
        return Deduplication("resend", (resends,), str(job.resend_count), settings.resend_window_seconds)
    key, dedup_token = keys.idempotency(job.tenant, digest), fingerprint(job.request)
    return Deduplication(
        "idempotency_key", (key,), dedup_token, settings.idempotency_ttl_seconds, {"idempotency": digest}
    )


def _names(job: NewJob, message_template: MessageTemplate) -> tuple[list[str], int]:
    """The keys that every job takes, and how long the running minute has lasted, in ms."""
    (minute, minute_before), elapsed_ms = keys.throughput(time.time())
    names = [
        keys.job(job.job_id),
        keys.request(job.job_id),
        keys.SEQ,
        keys.INDEX_ALL,
        keys.index(State.QUEUED),
        keys.messages(job.queue),
        message_template.normal_list,
        keys.TOTALS,
        minute,
        keys.DEADLINES,
        keys.FULL,
        keys.messages_high(job.queue),
        minute_before,
    ]
    return names, elapsed_ms


def _record(job: NewJob) -> dict[str, Argument | None]:
    return {
        "kind": job.request.kind,
        "tenant": job.tenant,
        "queue": job.queue,
        "max_attempts": job.max_attempts,
        "preview": preview(job.request),
        "model": job.request.model,
        "retry_of": job.retry_of,
        "result_ttl": job.result_ttl_seconds,
        "events_ttl": job.events_ttl_seconds,
    }


def mark_answered(tenant: str, idempotency_key: str, job_id: str) -> Command[None]:
    """The call that ``resend_count`` speaks of has its answer: what is sent again later is another one."""
    names = [keys.resends(tenant, idempotency_digest(idempotency_key))]
    return script_command("mark_answered", names, [job_id], lambda _: None)


def _milliseconds_or_none(seconds: float | None) -> Argument:
    return "" if seconds is None else milliseconds(seconds)


def _read_created(job: NewJob, fields: dict[str, Argument], reply: list[Any]) -> Created:
    status, detail = map(text, reply[:2])
    if status == "created":
        return Created(detail, _new_record(job, fields, *map(int, reply[2:])))
    if status == "conflict":
        raise IdempotencyConflict(
            "this Idempotency-Key was used with another request body; use a new key for a new request",
            param="Idempotency-Key",
        )
    if status == "full":
        raise QueueFull(
            f"the queue is full: {detail} jobs wait; try again later",
            retry_after_seconds=QUEUE_FULL_RETRY_SECONDS,
        )
    if status == "no_memory":
        raise no_memory()
    if status == "gone":
        raise no_such_job("task_id")
    return Created(detail)


def _new_record(job: NewJob, fields: dict[str, Argument], now_ms: int, seq: int, *position: int) -> JobRecord:
    """The record as it has just been written, so that nobody need read it back; a test compares the two."""
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
        **dict(QueuePosition.from_reply(*position)),
        **limits,
        **fields,
    )


def preview(request: JobRequest) -> str:
    """The first words of what is asked, at most PREVIEW_BYTES bytes long."""
    line = " ".join(request.preview_text[: PREVIEW_BYTES * 2].split())
    if len(line.encode()) <= PREVIEW_BYTES:
        return line
    return line.encode()[: PREVIEW_BYTES - len("…".encode())].decode(errors="ignore") + "…"
