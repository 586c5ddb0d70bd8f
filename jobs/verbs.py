"""The verbs: each write to a job's life, one Lua call each. Their promises stand at the head of their Lua files.

Every verb may be sent again after a lost reply: it then answers as it did, and changes nothing more.
"""

import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from jobs import celery_result, keys
from jobs.bell import Bell
from jobs.commands import Command, Word, plain_command, script_command, text
from jobs.errors import IdempotencyConflict, InternalError, QueueFull, no_memory
from jobs.models import (
    PREVIEW_BYTES,
    TASK_REQUEST,
    ChatAnswer,
    ChatTask,
    Claim,
    EmbeddingsAnswer,
    EmbeddingsTask,
    FailedAttempt,
    JobError,
    JobRecord,
    Lease,
    NewJob,
)
from jobs.settings import Settings
from jobs.states import FINAL_STATES, State

QUEUE_FULL_RETRY_SECONDS: Final = 5  # a guess at how soon a full queue has room again; Retry-After of the 429


LOST_BELL_SECONDS: Final = 5.0  # between a bell's leaving the broker and the claim lie milliseconds

AttemptEnd: TypeAlias = Literal["failures", "deaths", "refund"]
Ender: TypeAlias = Literal["holder", "expired", "queued"]
Lane: TypeAlias = Literal["normal", "front"]


@dataclass(frozen=True)
class Created:
    """``is_new`` is False when the Idempotency-Key had made the job before."""

    job_id: str
    is_new: bool


@dataclass(frozen=True)
class NotClaimed:
    """Why a bell led to no claim; none of these is an error."""

    reason: Literal["gone", "final", "busy", "early", "late"]


def _minute() -> str:
    return keys.minute(int(time.time() // 60))


def _event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, separators=(",", ":"))


def delta(piece: str) -> str:
    """The event that carries a piece of the answer's text."""
    return _event("delta", text=piece)


def fingerprint(request_json: str) -> str:
    """Tells two requests apart under one Idempotency-Key."""
    return hashlib.blake2b(request_json.encode(), digest_size=16).hexdigest()


def preview(request: ChatTask | EmbeddingsTask) -> str:
    """The first words of a request, at most PREVIEW_BYTES bytes long."""
    whole = request.message if isinstance(request, ChatTask) else request.input[0]
    line = " ".join(whole[: PREVIEW_BYTES * 2].split())
    if len(line.encode()) <= PREVIEW_BYTES:
        return line
    return line.encode()[: PREVIEW_BYTES - len("…".encode())].decode(errors="ignore") + "…"


def idempotency_digest(key: str) -> str:
    """A caller's key at a fixed length: callers send anything, and it may be telling."""
    return hashlib.blake2b(key.encode(), digest_size=16).hexdigest()


def create(job: NewJob, bell: Bell, settings: Settings) -> Command[Created]:
    """Write the job down and, where Redis is the broker too, ring its bell.

    The answer raises IdempotencyConflict (same key, another request) or QueueFull.
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
    }
    names = [
        keys.job(job.job_id),
        keys.request(job.job_id),
        keys.SEQ,
        keys.INDEX_ALL,
        keys.index(State.QUEUED),
        keys.bells(job.queue),
        bell.normal_list,
        keys.TOTALS,
        _minute(),
        keys.DEADLINES,
        keys.FULL,
    ]
    if job.idempotency_key is not None:
        digest = idempotency_digest(job.idempotency_key)
        record["idempotency"] = digest
        names.append(keys.idempotency(job.tenant, digest))
    if job.retry_of is not None:
        names.append(keys.job(job.retry_of))
    args: list[Word] = [
        job.job_id,
        fingerprint(request_json),
        settings.idempotency_ttl_seconds,
        settings.max_queued,
        bell.normal,
        request_json,
        _milliseconds(job.deadline_seconds),
    ]
    args += [word for name, value in record.items() if value is not None for word in (name, value)]
    return script_command("create", names, args, _read_created)


def _read_created(reply: list[bytes]) -> Created:
    word, detail = map(text, reply)
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
    return Created(detail, is_new=word == "created")


def claim(job_id: str, claim_id: str, owner: str, bell: Bell, settings: Settings) -> Command[Claim | NotClaimed]:
    """Take the job under a lease; ``claim_id`` is new for each bell, ``owner`` names the worker process."""
    names = [
        keys.job(job_id),
        keys.request(job_id),
        keys.events(job_id),
        keys.index(State.QUEUED),
        keys.index(State.IN_PROGRESS),
        keys.LEASES,
        keys.WAITING,
        keys.bells(bell.queue),
        keys.claimed(bell.queue),
        keys.bells_front(bell.queue),
        keys.claimed_front(bell.queue),
    ]
    args: list[Word] = [job_id, claim_id, owner, _milliseconds(settings.lease_seconds), keys.changed_channel(job_id)]

    def read(reply: list[bytes]) -> Claim | NotClaimed:
        if reply[0] != b"claimed":
            return NotClaimed(text(reply[0]))  # type: ignore[arg-type]
        token, attempt, log_length, failures, deaths, max_attempts, remaining_ms = map(int, reply[1:8])
        lease = Lease(job_id=job_id, queue=bell.queue, token=token, attempt=attempt, log_length=log_length)
        return Claim(
            lease=lease,
            failures=failures,
            deaths=deaths,
            max_attempts=max_attempts,
            remaining_ms=remaining_ms,
            request=TASK_REQUEST.validate_json(reply[8]),
        )

    return script_command("claim", names, args, read)


def renew(worker: str, leases: list[Lease], settings: Settings) -> Command[frozenset[str]]:
    """One heartbeat of a worker process; answers the ids of the leases that are lost."""
    names = [keys.LEASES, keys.WORKERS, *(keys.job(lease.job_id) for lease in leases)]
    args: list[Word] = [worker, _milliseconds(settings.lease_seconds)]
    for lease in leases:
        args += [lease.job_id, lease.token]
    return script_command("renew", names, args, lambda reply: frozenset(map(text, reply)))


def append(lease: Lease, log_length: int, output_events: int, events: list[str]) -> Command[int | None]:
    """More events to the stream; answers the new length of the log, None when the lease is lost."""
    names = [keys.job(lease.job_id), keys.events(lease.job_id)]
    args: list[Word] = [lease.token, log_length, output_events, keys.changed_channel(lease.job_id), *events]
    return script_command("append", names, args, lambda reply: int(reply[1]) if reply[0] == b"appended" else None)


def finish(lease: Lease, answer: ChatAnswer | EmbeddingsAnswer, state: State, settings: Settings) -> Command[bool]:
    """End the job with an answer, completed or incomplete. Answers False when the lease is lost."""
    usage = answer.usage.model_dump() if answer.usage else None
    end = _End(state, celery_result.success(lease.job_id, answer), _event(state, usage=usage))
    return _finish(lease, end, ["model", answer.model or ""], settings)


def fail(
    lease: Lease, error: JobError, partial: ChatAnswer | None, settings: Settings, ender: Ender = "holder"
) -> Command[bool]:
    """End the job without an answer. Answers False when the lease is lost (for recovery: when it is not)."""
    end = _End(
        State.FAILED,
        celery_result.failure(lease.job_id, error, partial),
        _event(State.FAILED, error=error.model_dump()),
        attempt_entry(lease.attempt, error),
        ender,
    )
    return _finish(lease, end, ["error_code", error.code], settings)


@dataclass(frozen=True)
class _End:
    """How a job ends: its state, the answer in Celery's format, the last event; who says so."""

    state: State
    meta: str
    event: str
    entry: str = ""
    ender: Ender = "holder"


def _finish(lease: Lease, end: _End, fields: list[Word], settings: Settings) -> Command[bool]:
    args: list[Word] = [
        lease.job_id,
        lease.token,
        end.state,
        end.meta,
        settings.result_ttl_seconds,
        settings.events_ttl_seconds,
        end.event,
        keys.changed_channel(lease.job_id),
        end.entry,
        end.ender,
        *fields,
    ]
    names = _settle_keys(lease.job_id, lease.queue, end.state)
    return script_command("finish", names, args, lambda reply: reply == b"finished")


def _settle_keys(job_id: str, queue: str, state: State) -> list[str]:
    """The KEYS of every final write; the order is that of include_settle.lua."""
    return [
        keys.job(job_id),
        keys.request(job_id),
        keys.events(job_id),
        keys.attempts(job_id),
        keys.result(job_id),
        keys.index(state),
        keys.EXPIRY,
        keys.TOTALS,
        _minute(),
        keys.LEASES,
        keys.index(State.QUEUED),
        keys.index(State.IN_PROGRESS),
        keys.WAITING,
        keys.DEADLINES,
        keys.bells(queue),
        keys.bells_front(queue),
    ]


def attempt_entry(attempt: int, error: JobError) -> str:
    """One line of the list of failed attempts."""
    failed = FailedAttempt(attempt=attempt, at_ms=int(time.time() * 1000), code=error.code, message=error.message)
    return failed.model_dump_json()


def release(
    lease: Lease, error: JobError | None, wait_seconds: float, bell: Bell, how: AttemptEnd = "failures"
) -> Command[int | None]:
    """Give the job back to the queue after ``wait_seconds`` (0: at once); ``how`` the attempt ended is counted.

    Answers the time of the next attempt in ms since the epoch, None when the lease is lost (for recovery, which
    releases ``deaths``: when it is not).
    """
    job_id = lease.job_id
    names = [
        keys.job(job_id),
        keys.events(job_id),
        keys.attempts(job_id),
        keys.index(State.IN_PROGRESS),
        keys.index(State.QUEUED),
        keys.LEASES,
        keys.WAITING,
        keys.SEQ,
        keys.bells_front(bell.queue),
        bell.front_list,
        keys.TOTALS,
        _minute(),
    ]
    event = _event("attempt_incomplete", attempt=lease.attempt, error=error.model_dump() if error else None)
    args: list[Word] = [
        job_id,
        lease.token,
        _milliseconds(wait_seconds),
        how,
        attempt_entry(lease.attempt, error) if error else "",
        event,
        keys.changed_channel(job_id),
        bell.front,
        error.code if error else "",
    ]
    return script_command("release", names, args, lambda reply: int(reply[1]) if reply[0] == b"released" else None)


def unrung(bell: Bell, lane: Lane, bells_left: int | None, limit: int) -> Command[list[str]]:
    """Queued jobs of a lane that have no bell; ``bells_left`` in the queue of a broker that is not the store."""
    is_front = lane == "front"
    names = [
        keys.bells_front(bell.queue) if is_front else keys.bells(bell.queue),
        keys.claimed_front(bell.queue) if is_front else keys.claimed(bell.queue),
        bell.front_list if is_front else bell.normal_list,
    ]
    args: list[Word] = [-1 if bells_left is None else bells_left, limit]
    return script_command("unrung", names, args, lambda reply: [text(job_id) for job_id in reply])


def ring(job_id: str, bell: Bell, lost_after_seconds: float = LOST_BELL_SECONDS) -> Command[str]:
    """Ring for a queued job whose wait is over, or whose bell is lost and that old. Answers rung, early or gone."""
    names = [
        keys.job(job_id),
        keys.WAITING,
        keys.SEQ,
        keys.bells_front(bell.queue),
        bell.front_list,
        keys.bells(bell.queue),
    ]
    return script_command("ring", names, [job_id, bell.front, _milliseconds(lost_after_seconds)], text)


def cancel(job_id: str, queue: str, settings: Settings) -> Command[str]:
    """End a queued or running job. Answers cancelled, final (it had ended otherwise) or gone."""
    args: list[Word] = [
        job_id,
        celery_result.revoked_head(job_id),
        settings.result_ttl_seconds,
        settings.events_ttl_seconds,
        _event(State.CANCELLED),
        keys.changed_channel(job_id),
        keys.CANCELLED_CHANNEL,
    ]
    return script_command("cancel", _settle_keys(job_id, queue, State.CANCELLED), args, text)


def delete(job_id: str, record: JobRecord | None) -> Command[str]:
    """Forget a job that has ended. Answers deleted, active (cancel it first) or gone.

    ``record`` frees its Idempotency-Key too; without it (the record has expired) the indexes are cleared.
    """
    own = [
        keys.job(job_id),
        keys.request(job_id),
        keys.events(job_id),
        keys.attempts(job_id),
        keys.result(job_id),
    ]
    if record is not None and record.idempotency is not None:
        own.append(keys.idempotency(record.tenant, record.idempotency))
    indexes = [keys.INDEX_ALL, keys.EXPIRY, *(keys.index(state) for state in sorted(FINAL_STATES))]
    return script_command("delete", own + indexes, [job_id, len(own)], text)


def refuse_submits(for_seconds: int) -> Command[None]:
    """Have every create refused for a while, with room left for the jobs that run to finish."""
    return plain_command("SET", keys.FULL, 1, "EX", for_seconds, read=lambda _: None)


def take_duty(worker: str, for_ms: int) -> Command[bool]:
    """Take or keep the recovery duties; answers whether this worker has them now."""
    return script_command("duty", [keys.DUTY], [worker, for_ms], lambda reply: reply == 1)


def _milliseconds(seconds: float) -> int:
    if seconds < 0:
        raise InternalError("a duration must not be negative")
    return round(seconds * 1000)
