"""The transitions that return a job to the queue: after an attempt, or since this worker cannot read its request."""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from jobs.errors import RequestUnreadable
from jobs.kinds import request_reader_id
from jobs.models import Lease
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Command, script_command
from jobs.storage.message_template import MessageTemplate
from jobs.storage.scripts import Argument
from jobs.storage.transitions.append import Behind, PendingEvents, read_written
from jobs.storage.transitions.claim_and_renew import PUT_BACK_SECONDS
from jobs.storage.transitions.shared_arguments import (
    attempt_entry,
    dispatch_keys,
    event_json,
    milliseconds,
    minute,
    pairs,
)

AttemptEnd: TypeAlias = Literal["failures", "waits", "worker_losses", "refund", "put_back"]
_NO_FIELDS: Final[Mapping[str, Argument]] = {}


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
            **dispatch_keys(message_template.queue),
            "job": keys.job(job_id),
            "log": keys.events(job_id),
            "attempts": keys.attempts(job_id),
            "in_progress_index": keys.index(State.IN_PROGRESS),
            "queued_index": keys.index(State.QUEUED),
            "waiting": keys.WAITING,
            "deadlines": keys.DEADLINES,
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
            "error_code": error.code if error else "",
            "log_length": pending.log_length if pending else "",
            "events": [*pending.events, event] if pending else [event],
            "fields": pairs(fields),
        },
        read=lambda reply: read_written(reply, b"released"),
        must_be_safe=True,
    )


def put_back(lease: Lease, message_template: MessageTemplate) -> Command[int | Behind | None]:
    """Return a job whose request this worker cannot read, as if never claimed, for a worker of another version.

    From now on ``claim`` puts it back for every worker that reads requests as this one does. Returns as ``release``.
    """
    fields: dict[str, Argument] = {f"unreadable_by:{request_reader_id()}": 1, "error_code": RequestUnreadable.code}
    return release(lease, None, PUT_BACK_SECONDS, message_template, "put_back", fields=fields)
