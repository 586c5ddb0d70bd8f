"""The verbs of a worker that makes an attempt: claim, renew, append, finish or fail, release."""

import json
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from jobs.errors import RequestUnreadable
from jobs.kinds import read_request
from jobs.kinds.base import Answer, TextAnswer
from jobs.models import Claim, Lease
from jobs.results import JobError, Usage
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import celery_result, keys
from jobs.storage.commands import Argument, Command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions.encoding import attempt_entry, event_json, finalize_keys, milliseconds, minute

AttemptEnd: TypeAlias = Literal["failures", "worker_losses", "refund"]
FinishPrecondition: TypeAlias = Literal["holder", "expired", "queued"]


@dataclass(frozen=True)
class NotClaimed:
    """Why a message led to no claim; none of these is an error."""

    reason: Literal["gone", "final", "busy", "early", "late"]


@dataclass(frozen=True)
class UnreadableClaim:
    """The job is taken, and nobody can tell what it asks for: it can only be ended."""

    lease: Lease
    error: JobError


@dataclass(frozen=True)
class PendingEvents:
    """What an attempt has still to say in the log: events, and the length of the log before them."""

    log_length: int
    events: tuple[str, ...] = field(default=(), repr=False)


def claim(
    job_id: str, claim_id: str, owner: str, message_template: MessageTemplate, settings: Settings
) -> Command[Claim | NotClaimed | UnreadableClaim]:
    """Take the job under a lease; ``claim_id`` is new for each message, ``owner`` names the worker process."""
    names = [
        keys.job(job_id),
        keys.request(job_id),
        keys.events(job_id),
        keys.index(State.QUEUED),
        keys.index(State.IN_PROGRESS),
        keys.LEASES,
        keys.WAITING,
        keys.messages(message_template.queue),
        keys.claimed(message_template.queue),
        keys.messages_high(message_template.queue),
        keys.claimed_high(message_template.queue),
        keys.DEADLINES,
    ]
    args: list[Argument] = [job_id, claim_id, owner, milliseconds(settings.lease_seconds), keys.changed_channel(job_id)]

    def read(reply: list[bytes]) -> Claim | NotClaimed | UnreadableClaim:
        if reply[0] != b"claimed":
            return NotClaimed(text(reply[0]))  # type: ignore[arg-type]
        token, attempt, log_length, failures, worker_losses, max_attempts, remaining_ms = map(int, reply[1:8])
        lease = Lease(job_id=job_id, queue=message_template.queue, token=token, attempt=attempt, log_length=log_length)
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

    return script_command("claim", names, args, read)


def renew(worker: str, leases: list[Lease], settings: Settings) -> Command[frozenset[str]]:
    """One heartbeat of a worker process; answers the ids of the leases that are lost."""
    names = [keys.LEASES, keys.WORKERS, *(keys.job(lease.job_id) for lease in leases)]
    args: list[Argument] = [worker, milliseconds(settings.lease_seconds)]
    for lease in leases:
        args += [lease.job_id, lease.token]
    return script_command("renew", names, args, lambda reply: frozenset(map(text, reply)))


def append(lease: Lease, pending: PendingEvents, usage: Usage) -> Command[int | None]:
    """More events to the stream, and the usage so far; answers the log's new length, None when the lease is lost."""
    names = [keys.job(lease.job_id), keys.events(lease.job_id)]
    args: list[Argument] = [
        lease.token,
        pending.log_length,
        usage.to_string(),
        keys.changed_channel(lease.job_id),
        *pending.events,
    ]
    return script_command("append", names, args, lambda reply: int(reply[1]) if reply[0] == b"appended" else None)


def delta_event(text_delta: str) -> str:
    """The event that carries a piece of the answer's text."""
    return event_json("delta", text=text_delta)


def upstream_event(data: str, text_delta: str = "", delta: str = "") -> str:
    """The event that carries what else the provider said, in its own shape; with a piece of text it is a delta.

    ``data`` is the JSON of an object that is not empty; ``delta``, if any, is one more field of it.
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
) -> Command[bool]:
    """End the job with an answer, completed or incomplete. Answers False when the lease is lost."""
    usage = answer.usage.model_dump() if answer.usage else None
    event = event_json(state, **answer.event_fields(), usage=usage)
    end = _FinalWrite(state, celery_result.success(lease.job_id, answer), event, pending=pending)
    fields: list[Argument] = ["model", answer.model or ""]
    if answer.usage:
        fields += ["usage", answer.usage.to_string()]
    return _finish(lease, end, fields, settings)


def fail(
    lease: Lease,
    error: JobError,
    partial: TextAnswer | None,
    settings: Settings,
    precondition: FinishPrecondition = "holder",
    pending: PendingEvents | None = None,
) -> Command[bool]:
    """End the job without an answer. Answers False when the lease is lost (for recovery: when it is not)."""
    end = _FinalWrite(
        State.FAILED,
        celery_result.failure(lease.job_id, error, partial),
        event_json(State.FAILED, error=error.model_dump()),
        attempt_entry(lease.attempt, error),
        precondition,
        pending,
    )
    return _finish(lease, end, ["error_code", error.code], settings)


@dataclass(frozen=True)
class _FinalWrite:
    """How a job ends: its state, the answer in Celery's format, the last event; who says so."""

    state: State
    meta: str
    event: str
    entry: str = ""
    precondition: FinishPrecondition = "holder"
    pending: PendingEvents | None = None

    @property
    def log_arguments(self) -> list[Argument]:
        """The length of the log so far ('': not known), how many events follow, the events."""
        before = self.pending.events if self.pending else ()
        return [self.pending.log_length if self.pending else "", len(before) + 1, *before, self.event]


def _finish(lease: Lease, end: _FinalWrite, fields: list[Argument], settings: Settings) -> Command[bool]:
    args: list[Argument] = [
        lease.job_id,
        lease.token,
        end.state,
        end.meta,
        settings.result_ttl_seconds,
        settings.events_ttl_seconds,
        keys.changed_channel(lease.job_id),
        end.entry,
        end.precondition,
        *end.log_arguments,
        *fields,
    ]
    names = finalize_keys(lease.job_id, lease.queue, end.state)
    return script_command("finish", names, args, lambda reply: reply == b"finished")


def release(
    lease: Lease,
    error: JobError | None,
    wait_seconds: float,
    message_template: MessageTemplate,
    how: AttemptEnd = "failures",
    pending: PendingEvents | None = None,
) -> Command[int | None]:
    """Give the job back to the queue after ``wait_seconds`` (0: at once); ``how`` the attempt ended is counted.

    Answers the time of the next attempt in ms since the epoch, None when the lease is lost (for recovery, which
    releases ``worker_losses``: when it is not).
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
        keys.messages_high(message_template.queue),
        message_template.high_list,
        keys.TOTALS,
        minute(),
    ]
    event = event_json("attempt_incomplete", attempt=lease.attempt, error=error.model_dump() if error else None)
    args: list[Argument] = [
        job_id,
        lease.token,
        milliseconds(wait_seconds),
        how,
        attempt_entry(lease.attempt, error) if error else "",
        keys.changed_channel(job_id),
        message_template.high,
        error.code if error else "",
        pending.log_length if pending else "",
        *(pending.events if pending else ()),
        event,
    ]
    return script_command("release", names, args, lambda reply: int(reply[1]) if reply[0] == b"released" else None)
