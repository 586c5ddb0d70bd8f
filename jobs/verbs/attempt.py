"""The verbs of a worker that makes an attempt: claim, renew, append, finish or fail, release."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jobs import celery_result, keys
from jobs.bell import Bell
from jobs.commands import Command, Word, script_command, text
from jobs.models import (
    TASK_REQUEST,
    ChatAnswer,
    Claim,
    EmbeddingsAnswer,
    JobError,
    Lease,
)
from jobs.settings import Settings
from jobs.states import State
from jobs.verbs.writing import attempt_entry, event_json, milliseconds, minute, settle_keys

AttemptEnd: TypeAlias = Literal["failures", "deaths", "refund"]
Ender: TypeAlias = Literal["holder", "expired", "queued"]


@dataclass(frozen=True)
class NotClaimed:
    """Why a bell led to no claim; none of these is an error."""

    reason: Literal["gone", "final", "busy", "early", "late"]


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
    args: list[Word] = [job_id, claim_id, owner, milliseconds(settings.lease_seconds), keys.changed_channel(job_id)]

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
    args: list[Word] = [worker, milliseconds(settings.lease_seconds)]
    for lease in leases:
        args += [lease.job_id, lease.token]
    return script_command("renew", names, args, lambda reply: frozenset(map(text, reply)))


def append(lease: Lease, log_length: int, output_events: int, events: list[str]) -> Command[int | None]:
    """More events to the stream; answers the new length of the log, None when the lease is lost."""
    names = [keys.job(lease.job_id), keys.events(lease.job_id)]
    args: list[Word] = [lease.token, log_length, output_events, keys.changed_channel(lease.job_id), *events]
    return script_command("append", names, args, lambda reply: int(reply[1]) if reply[0] == b"appended" else None)


def delta(piece: str) -> str:
    """The event that carries a piece of the answer's text."""
    return event_json("delta", text=piece)


def finish(lease: Lease, answer: ChatAnswer | EmbeddingsAnswer, state: State, settings: Settings) -> Command[bool]:
    """End the job with an answer, completed or incomplete. Answers False when the lease is lost."""
    usage = answer.usage.model_dump() if answer.usage else None
    end = _End(state, celery_result.success(lease.job_id, answer), event_json(state, usage=usage))
    return _finish(lease, end, ["model", answer.model or ""], settings)


def fail(
    lease: Lease, error: JobError, partial: ChatAnswer | None, settings: Settings, ender: Ender = "holder"
) -> Command[bool]:
    """End the job without an answer. Answers False when the lease is lost (for recovery: when it is not)."""
    end = _End(
        State.FAILED,
        celery_result.failure(lease.job_id, error, partial),
        event_json(State.FAILED, error=error.model_dump()),
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
    names = settle_keys(lease.job_id, lease.queue, end.state)
    return script_command("finish", names, args, lambda reply: reply == b"finished")


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
        minute(),
    ]
    event = event_json("attempt_incomplete", attempt=lease.attempt, error=error.model_dump() if error else None)
    args: list[Word] = [
        job_id,
        lease.token,
        milliseconds(wait_seconds),
        how,
        attempt_entry(lease.attempt, error) if error else "",
        event,
        keys.changed_channel(job_id),
        bell.front,
        error.code if error else "",
    ]
    return script_command("release", names, args, lambda reply: int(reply[1]) if reply[0] == b"released" else None)
