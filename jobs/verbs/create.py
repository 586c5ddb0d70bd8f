"""create: a request becomes a job."""

import hashlib
import json
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from jobs import keys
from jobs.bell import Bell
from jobs.commands import Command, Word, script_command, text
from jobs.errors import IdempotencyConflict, QueueFull, no_memory, no_such_job
from jobs.models import PREVIEW_BYTES, InLine, JobRecord, NewJob
from jobs.requests import IngestTask, JobRequest, RemovalTask, texts
from jobs.settings import Settings
from jobs.states import State
from jobs.verbs.writing import milliseconds

QUEUE_FULL_RETRY_SECONDS: Final = 5  # a guess at how soon a full queue has room again; Retry-After of the 429


@dataclass(frozen=True)
class Created:
    """``record`` is that of a new job; None when the Idempotency-Key, or the retry, had made the job before."""

    job_id: str
    record: JobRecord | None = None

    @property
    def is_new(self) -> bool:
        return self.record is not None


def create(job: NewJob, bell: Bell, settings: Settings) -> Command[Created]:
    """Write the job down and, where Redis is the broker too, ring its bell.

    The answer raises IdempotencyConflict (same key, another request), QueueFull, or JobNotFound when the job that it
    repeats is not there any more.
    """
    request_json = job.request.model_dump_json(exclude_defaults=True)
    record: dict[str, Word | None] = {
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
    minutes, elapsed_ms = keys.pace(time.time())
    names = [
        keys.job(job.job_id),
        keys.request(job.job_id),
        keys.SEQ,
        keys.INDEX_ALL,
        keys.index(State.QUEUED),
        keys.bells(job.queue),
        bell.normal_list,
        keys.TOTALS,
        minutes[0],
        keys.DEADLINES,
        keys.FULL,
        keys.bells_front(job.queue),
        minutes[1],
    ]
    how = sameness = ""
    if job.retry_of is not None:
        how = "retry"
        names.append(keys.job(job.retry_of))
    elif job.idempotency_key is not None and job.sent_before is not None:
        how, sameness = "sent", str(job.sent_before)
        names.append(keys.sent(job.tenant, idempotency_digest(job.idempotency_key)))
    elif job.idempotency_key is not None:
        how, sameness = "same", fingerprint(job.request)
        digest = idempotency_digest(job.idempotency_key)
        record["idempotency"] = digest
        names.append(keys.idempotency(job.tenant, digest))
    args: list[Word] = [
        job.job_id,
        sameness,
        settings.idempotency_ttl_seconds if how == "same" else settings.resend_window_seconds,
        settings.max_queued,
        bell.normal,
        request_json,
        milliseconds(job.deadline_seconds),
        how,
        _milliseconds_or_none(job.start_by_seconds),
        _milliseconds_or_none(job.cancel_after_seconds),
        elapsed_ms,
    ]
    fields = {name: value for name, value in record.items() if value is not None}
    args += [word for pair in fields.items() for word in pair]
    return script_command("create", names, args, lambda reply: _read_created(job, fields, reply))


def _milliseconds_or_none(seconds: float | None) -> Word:
    return "" if seconds is None else milliseconds(seconds)


def _read_created(job: NewJob, fields: dict[str, Word], reply: list[Any]) -> Created:
    word, detail = map(text, reply[:2])
    if word == "created":
        return Created(detail, _new_record(job, fields, *map(int, reply[2:])))
    if word == "conflict":
        raise IdempotencyConflict(
            "this Idempotency-Key was used with another request body; use a new key for a new request",
            param="Idempotency-Key",
        )
    if word == "full":
        raise QueueFull(
            f"the queue is full: {detail} jobs wait; try again later",
            retry_after_seconds=QUEUE_FULL_RETRY_SECONDS,
        )
    if word == "no_memory":
        raise no_memory()
    if word == "gone":
        raise no_such_job("task_id")
    return Created(detail)


def _new_record(job: NewJob, fields: dict[str, Word], now_ms: int, seq: int, *line: int) -> JobRecord:
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
        **dict(InLine.read(*line)),
        **limits,
        **fields,
    )


def fingerprint(request: JobRequest) -> str:
    """Tells two requests apart under one Idempotency-Key. The order of names, and what is empty, make no difference."""
    dumped = request.model_dump(mode="json", exclude_none=True)
    said = {name: value for name, value in dumped.items() if value not in ({}, [])}  # a temperature of 0 is said
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=16).hexdigest()


def idempotency_digest(key: str) -> str:
    """A caller's key at a fixed length: callers send anything, and it may be telling."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def preview(request: JobRequest) -> str:
    """The first words of what is asked, at most PREVIEW_BYTES bytes long."""
    said = iter([request.filename]) if isinstance(request, IngestTask | RemovalTask) else texts(request)
    whole = next(said, "") if request.kind == "embeddings" else next(iter(deque(said, maxlen=1)), "")
    line = " ".join(whole[: PREVIEW_BYTES * 2].split())
    if len(line.encode()) <= PREVIEW_BYTES:
        return line
    return line.encode()[: PREVIEW_BYTES - len("…".encode())].decode(errors="ignore") + "…"
