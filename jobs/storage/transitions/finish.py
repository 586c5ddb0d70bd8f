"""The transitions that end a job with an answer or an error."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from jobs.kinds.base import Answer, TextAnswer
from jobs.models import Lease
from jobs.results import JobError
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import celery_result
from jobs.storage.commands import Command, script_command
from jobs.storage.scripts import Argument
from jobs.storage.transitions.append import Behind, PendingEvents
from jobs.storage.transitions.shared_arguments import attempt_entry, event_json, finalize_args, finalize_keys, pairs

FinishPrecondition: TypeAlias = Literal["holder", "expired", "queued"]


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
    return _finish(lease, end, fields, settings, answer.usage.total_tokens if answer.usage else None)


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


def _finish(
    lease: Lease, end: _FinalWrite, fields: dict[str, Argument], settings: Settings, used_tokens: int | None = None
) -> Command[bool | Behind]:
    return script_command(
        "finish",
        keys=finalize_keys(lease.job_id, lease.queue, end.state),
        args={
            **finalize_args(lease.job_id, settings, used_tokens),
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
