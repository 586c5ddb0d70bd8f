"""The verbs of a worker that makes an attempt: claim, renew, append, finish or fail, release."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from jobs.errors import RequestUnreadable
from jobs.models import Claim, Lease
from jobs.results import AnyAnswer, ChatAnswer, JobError, TextAnswer, Usage
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import celery_result, keys
from jobs.storage.commands import Command, Word, script_command, text
from jobs.storage.message_template import Bell
from jobs.storage.transitions.encoding import attempt_entry, event_json, milliseconds, minute, settle_keys
from jobs.written import read_request

AttemptEnd: TypeAlias = Literal["failures", "deaths", "refund"]
Ender: TypeAlias = Literal["holder", "expired", "queued"]


@dataclass(frozen=True)
class NotClaimed:
    """Why a bell led to no claim; none of these is an error."""

    reason: Literal["gone", "final", "busy", "early", "late"]


@dataclass(frozen=True)
class Unreadable:
    """The job is taken, and nobody can tell what it asks for: it can only be ended."""

    lease: Lease
    error: JobError


@dataclass(frozen=True)
class Tail:
    """What an attempt has still to say in the log: events, and the length of the log before them."""

    log_length: int
    events: tuple[str, ...] = field(default=(), repr=False)


def claim(
    job_id: str, claim_id: str, owner: str, bell: Bell, settings: Settings
) -> Command[Claim | NotClaimed | Unreadable]:
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
        keys.DEADLINES,
    ]
    args: list[Word] = [job_id, claim_id, owner, milliseconds(settings.lease_seconds), keys.changed_channel(job_id)]

    def read(reply: list[bytes]) -> Claim | NotClaimed | Unreadable:
        if reply[0] != b"claimed":
            return NotClaimed(text(reply[0]))  # type: ignore[arg-type]
        token, attempt, log_length, failures, deaths, max_attempts, remaining_ms = map(int, reply[1:8])
        lease = Lease(job_id=job_id, queue=bell.queue, token=token, attempt=attempt, log_length=log_length)
        try:
            request = read_request(reply[8])
        except RequestUnreadable as error:
            return Unreadable(lease, JobError(code=error.code, message=error.message))
        return Claim(
            lease=lease,
            failures=failures,
            deaths=deaths,
            max_attempts=max_attempts,
            remaining_ms=remaining_ms,
            request=request,
        )

    return script_command("claim", names, args, read)


def renew(worker: str, leases: list[Lease], settings: Settings) -> Command[frozenset[str]]:
    """One heartbeat of a worker process; answers the ids of the leases that are lost."""
    names = [keys.LEASES, keys.WORKERS, *(keys.job(lease.job_id) for lease in leases)]
    args: list[Word] = [worker, milliseconds(settings.lease_seconds)]
    for lease in leases:
        args += [lease.job_id, lease.token]
    return script_command("renew", names, args, lambda reply: frozenset(map(text, reply)))


def append(lease: Lease, tail: Tail, usage: Usage) -> Command[int | None]:
    """More events to the stream, and the usage so far; answers the log's new length, None when the lease is lost."""
    names = [keys.job(lease.job_id), keys.events(lease.job_id)]
    args: list[Word] = [
        lease.token,
        tail.log_length,
        usage.as_word(),
        keys.changed_channel(lease.job_id),
        *tail.events,
    ]
    return script_command("append", names, args, lambda reply: int(reply[1]) if reply[0] == b"appended" else None)


def delta(piece: str) -> str:
    """The event that carries a piece of the answer's text."""
    return event_json("delta", text=piece)


def upstream(data: str, piece: str = "", delta: str = "") -> str:
    """The event that carries what else the provider said, in its own shape; with a piece of text it is a delta.

    ``data`` is the JSON of an object that is not empty; ``delta``, if any, is one more field of it.
    """
    grown = f'{data[:-1]},"delta":{json.dumps(delta, ensure_ascii=False)}}}' if delta else data
    head = event_json("delta", text=piece) if piece else event_json("upstream")
    return f'{head[:-1]},"data":{grown}}}'


def finish(
    lease: Lease,
    answer: AnyAnswer,
    state: State,
    settings: Settings,
    tail: Tail | None = None,
) -> Command[bool]:
    """End the job with an answer, completed or incomplete. Answers False when the lease is lost."""
    usage = answer.usage.model_dump() if answer.usage else None
    reason: dict[str, Any] = {"finish_reason": answer.finish_reason} if isinstance(answer, TextAnswer) else {}
    if isinstance(answer, ChatAnswer) and answer.citations is not None:
        reason["citations"] = [citation.model_dump() for citation in answer.citations]
    end = _End(state, celery_result.success(lease.job_id, answer), event_json(state, **reason, usage=usage), tail=tail)
    fields: list[Word] = ["model", answer.model or ""]
    if answer.usage:
        fields += ["usage", answer.usage.as_word()]
    return _finish(lease, end, fields, settings)


def fail(
    lease: Lease,
    error: JobError,
    partial: TextAnswer | None,
    settings: Settings,
    ender: Ender = "holder",
    tail: Tail | None = None,
) -> Command[bool]:
    """End the job without an answer. Answers False when the lease is lost (for recovery: when it is not)."""
    end = _End(
        State.FAILED,
        celery_result.failure(lease.job_id, error, partial),
        event_json(State.FAILED, error=error.model_dump()),
        attempt_entry(lease.attempt, error),
        ender,
        tail,
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
    tail: Tail | None = None

    @property
    def log_words(self) -> list[Word]:
        """The length of the log so far ('': not known), how many events follow, the events."""
        before = self.tail.events if self.tail else ()
        return [self.tail.log_length if self.tail else "", len(before) + 1, *before, self.event]


def _finish(lease: Lease, end: _End, fields: list[Word], settings: Settings) -> Command[bool]:
    args: list[Word] = [
        lease.job_id,
        lease.token,
        end.state,
        end.meta,
        settings.result_ttl_seconds,
        settings.events_ttl_seconds,
        keys.changed_channel(lease.job_id),
        end.entry,
        end.ender,
        *end.log_words,
        *fields,
    ]
    names = settle_keys(lease.job_id, lease.queue, end.state)
    return script_command("finish", names, args, lambda reply: reply == b"finished")


def release(
    lease: Lease,
    error: JobError | None,
    wait_seconds: float,
    bell: Bell,
    how: AttemptEnd = "failures",
    tail: Tail | None = None,
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
        minute(),
    ]
    event = event_json("attempt_incomplete", attempt=lease.attempt, error=error.model_dump() if error else None)
    args: list[Word] = [
        job_id,
        lease.token,
        milliseconds(wait_seconds),
        how,
        attempt_entry(lease.attempt, error) if error else "",
        keys.changed_channel(job_id),
        bell.front,
        error.code if error else "",
        tail.log_length if tail else "",
        *(tail.events if tail else ()),
        event,
    ]
    return script_command("release", names, args, lambda reply: int(reply[1]) if reply[0] == b"released" else None)
