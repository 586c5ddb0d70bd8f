"""The transitions of an attempt: claim, renew, append, finish or fail, release."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from jobs.errors import RequestUnreadable
from jobs.kinds import ABILITIES, read_request, request_reader_id
from jobs.kinds.base import Answer, TextAnswer
from jobs.models import Claim, Lease
from jobs.results import JobError, Usage
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import celery_result, keys
from jobs.storage.commands import Command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.scripts import Argument
from jobs.storage.transitions.shared_arguments import (
    attempt_entry,
    event_json,
    finalize_args,
    finalize_keys,
    milliseconds,
    minute,
    pairs,
)

AttemptEnd: TypeAlias = Literal["failures", "worker_losses", "refund"]
FinishPrecondition: TypeAlias = Literal["holder", "expired", "queued"]
PUT_BACK_SECONDS: Final = 5.0  # least wait of a job that a worker cannot run, at most twice this for a new job
_REQUEST_LOST: Final = JobError(
    code="request_lost", message="the stored request is gone: Redis has evicted or lost it; submit it again"
)
_NO_FIELDS: Final[Mapping[str, Argument]] = {}


@dataclass(frozen=True)
class NotClaimed:
    """Why a message led to no claim. None of the reasons is an error."""

    reason: Literal["gone", "final", "busy", "early", "late"]


@dataclass(frozen=True)
class Unable:
    """This worker lacks what the job needs: ``claim`` has put the job back, uncounted, for a worker that can run it."""

    needs: tuple[str, ...]


@dataclass(frozen=True)
class UnreadableClaim:
    """The job is claimed but its request cannot be read: by no version if it is lost, else perhaps by another one."""

    lease: Lease
    error: JobError
    is_lost: bool = False


ClaimResult: TypeAlias = Claim | NotClaimed | Unable | UnreadableClaim


@dataclass(frozen=True)
class PendingEvents:
    """The events that an attempt has not yet written, and the length of the log before them."""

    log_length: int
    events: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Behind:
    """Nothing was written, because Redis has lost the job's events after ``log_length``. Send them again first."""

    log_length: int


def claim(
    job_id: str, claim_id: str, owner: str, message_template: MessageTemplate, settings: Settings
) -> Command[ClaimResult]:
    """Take the job under a lease. ``claim_id`` is new for each message; ``owner`` names the worker process."""
    queue = message_template.queue
    return script_command(
        "claim",
        keys={
            "job": keys.job(job_id),
            "request": keys.request(job_id),
            "log": keys.events(job_id),
            "queued_index": keys.index(State.QUEUED),
            "in_progress_index": keys.index(State.IN_PROGRESS),
            "leases": keys.LEASES,
            "waiting": keys.WAITING,
            "messages": keys.messages(queue),
            "claimed": keys.claimed(queue),
            "messages_high": keys.messages_high(queue),
            "claimed_high": keys.claimed_high(queue),
            "deadlines": keys.DEADLINES,
        },
        args={
            "id": job_id,
            "claim_id": claim_id,
            "owner": owner,
            "lease_ms": milliseconds(settings.lease_seconds),
            "channel": keys.changed_channel(job_id),
            "reader": request_reader_id(),
            "put_back_ms": milliseconds(PUT_BACK_SECONDS * (1 + random.random())),  # noqa: S311  # spreads tries
            "abilities": ABILITIES,
        },
        read=lambda reply: _read_claim(job_id, queue, reply),
        must_be_safe=True,
    )


def _read_claim(job_id: str, queue: str, reply: list[Any]) -> ClaimResult:
    if reply[0] == b"unable":
        return Unable(tuple(need.decode(errors="replace") for need in reply[1:]))
    if reply[0] != b"claimed":
        return NotClaimed(text(reply[0]))  # type: ignore[arg-type]
    token, attempt, log_length, failures, worker_losses, max_attempts, remaining_ms = map(int, reply[1:8])
    lease = Lease(job_id=job_id, queue=queue, token=token, attempt=attempt, log_length=log_length)
    if reply[8] is None:
        return UnreadableClaim(lease, _REQUEST_LOST, is_lost=True)
    try:
        request = read_request(reply[8])
    except RequestUnreadable as error:
        return UnreadableClaim(lease, JobError(code=error.code, message=error.message))
    return Claim(
        lease=lease,
        failures=failures,
        worker_losses=worker_losses,
        max_attempts=max_attempts,
        remaining_ms=remaining_ms,
        request=request,
    )


def put_back(lease: Lease, message_template: MessageTemplate) -> Command[int | Behind | None]:
    """Return a job whose request this worker cannot read, uncounted, for a worker of another version.

    From now on ``claim`` puts it back for every worker that reads requests as this one does. Returns as ``release``.
    """
    fields: dict[str, Argument] = {f"unreadable_by:{request_reader_id()}": 1, "error_code": RequestUnreadable.code}
    return release(lease, None, PUT_BACK_SECONDS, message_template, "refund", fields=fields)


def renew(worker: str, leases: list[Lease], settings: Settings) -> Command[frozenset[str]]:
    """One heartbeat of a worker process. Returns the ids of the jobs whose lease is lost."""
    return script_command(
        "renew",
        keys={"leases": keys.LEASES, "workers": keys.WORKERS, "jobs": [keys.job(lease.job_id) for lease in leases]},
        args={
            "worker": worker,
            "lease_ms": milliseconds(settings.lease_seconds),
            "ids": [lease.job_id for lease in leases],
            "tokens": [lease.token for lease in leases],
        },
        read=lambda reply: frozenset(map(text, reply)),
    )


def append(lease: Lease, pending: PendingEvents, usage: Usage) -> Command[int | Behind | None]:
    """Add events to the log and record the usage so far. Returns the log's new length, None if the lease is lost."""
    return script_command(
        "append",
        keys={"job": keys.job(lease.job_id), "log": keys.events(lease.job_id)},
        args={
            "token": lease.token,
            "log_length": pending.log_length,
            "usage": usage.to_string(),
            "channel": keys.changed_channel(lease.job_id),
            "events": pending.events,
        },
        read=lambda reply: _read_written(reply, b"appended"),
    )


def _read_written(reply: list[Any], success: bytes) -> int | Behind | None:
    """The number that a script returns on success; None if the lease is lost."""
    if reply[0] == b"behind":
        return Behind(int(reply[1]))
    return int(reply[1]) if reply[0] == success else None


def delta_event(text_delta: str) -> str:
    """The event with a delta of the answer's text."""
    return event_json("delta", text=text_delta)


def upstream_event(data: str, text_delta: str = "", delta: str = "") -> str:
    """The event that contains a provider's event. Its type is delta if it has a text, else upstream.

    ``data`` is the JSON of a non-empty object. A non-empty ``delta`` is added to this object as a field.
    """
    extended = f'{data[:-1]},"delta":{json.dumps(delta, ensure_ascii=False)}}}' if delta else data
    head = event_json("delta", text=text_delta) if text_delta else event_json("upstream")
    return f'{head[:-1]},"data":{extended}}}'


def finish(
    lease: Lease,
    answer: Answer,
    state: State,
    settings: Settings,
    pending: PendingEvents | None = None,
) -> Command[bool | Behind]:
    """End the job as completed or incomplete, with an answer. Returns False if the lease is lost."""
    usage = answer.usage.model_dump() if answer.usage else None
    event = event_json(state, **answer.event_fields(), usage=usage)
    end = _FinalWrite(state, celery_result.success(lease.job_id, answer), event, pending=pending)
    fields: dict[str, Argument] = {"model": answer.model or ""}
    if answer.usage:
        fields["usage"] = answer.usage.to_string()
    return _finish(lease, end, fields, settings)


def fail(
    lease: Lease,
    error: JobError,
    partial: TextAnswer | None,
    settings: Settings,
    precondition: FinishPrecondition = "holder",
    pending: PendingEvents | None = None,
) -> Command[bool | Behind]:
    """End the job as failed. Returns False if the lease is lost or the precondition does not hold."""
    end = _FinalWrite(
        State.FAILED,
        celery_result.failure(lease.job_id, error, partial),
        event_json(State.FAILED, error=error.model_dump(exclude_none=True)),
        attempt_entry(lease.attempt, error),
        precondition,
        pending,
    )
    return _finish(lease, end, {"error_code": error.code}, settings)


@dataclass(frozen=True)
class _FinalWrite:
    """How a job ends: its state, the answer in Celery's format, the last event, and the precondition of the write."""

    state: State
    meta: str
    event: str
    attempt: str = ""
    precondition: FinishPrecondition = "holder"
    pending: PendingEvents | None = None


def _finish(lease: Lease, end: _FinalWrite, fields: dict[str, Argument], settings: Settings) -> Command[bool | Behind]:
    return script_command(
        "finish",
        keys=finalize_keys(lease.job_id, lease.queue, end.state),
        args={
            **finalize_args(lease.job_id, settings),
            "token": lease.token,
            "state": end.state,
            "meta": end.meta,
            "attempt": end.attempt,
            "precondition": end.precondition,
            "log_length": end.pending.log_length if end.pending else "",
            "events": [*end.pending.events, end.event] if end.pending else [end.event],
            "fields": pairs(fields),
        },
        read=lambda reply: Behind(int(reply[1])) if reply[0] == b"behind" else reply[0] == b"finished",
        must_be_safe=True,
    )


def release(
    lease: Lease,
    error: JobError | None,
    wait_seconds: float,
    message_template: MessageTemplate,
    how: AttemptEnd = "failures",
    pending: PendingEvents | None = None,
    fields: Mapping[str, Argument] = _NO_FIELDS,
) -> Command[int | Behind | None]:
    """Put the job back into the queue after ``wait_seconds`` (0: immediately), and count its ending ``how``.

    Returns the time of the next attempt in ms since the epoch. Returns None if the lease is lost, or, for recovery,
    which releases with ``worker_losses``, if the lease has not expired.
    """
    job_id = lease.job_id
    error_fields = error.model_dump(exclude_none=True) if error else None
    event = event_json("attempt_incomplete", attempt=lease.attempt, error=error_fields)
    return script_command(
        "release",
        keys={
            "job": keys.job(job_id),
            "log": keys.events(job_id),
            "attempts": keys.attempts(job_id),
            "in_progress_index": keys.index(State.IN_PROGRESS),
            "queued_index": keys.index(State.QUEUED),
            "leases": keys.LEASES,
            "waiting": keys.WAITING,
            "seq": keys.SEQ,
            "messages_high": keys.messages_high(message_template.queue),
            "broker_list_high": message_template.high_list,
            "totals": keys.TOTALS,
            "minute": minute(),
        },
        args={
            "id": job_id,
            "token": lease.token,
            "wait_ms": milliseconds(wait_seconds),
            "ending": how,
            "attempt": attempt_entry(lease.attempt, error) if error else "",
            "channel": keys.changed_channel(job_id),
            "message": message_template.high,
            "error_code": error.code if error else "",
            "log_length": pending.log_length if pending else "",
            "events": [*pending.events, event] if pending else [event],
            "fields": pairs(fields),
        },
        read=lambda reply: _read_written(reply, b"released"),
        must_be_safe=True,
    )
