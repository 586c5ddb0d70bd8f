"""The transitions that take a job under a lease, and keep the lease."""

import random
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from jobs.errors import RequestUnreadable
from jobs.kinds import ABILITIES, read_request, request_reader_id
from jobs.models import Claim, Lease
from jobs.request_id import read_request_id
from jobs.results import JobError
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions.shared_arguments import dispatch_keys, milliseconds

PUT_BACK_SECONDS: Final = 5.0  # least wait of a job that a worker cannot run, at most twice this for a new job
_REQUEST_LOST: Final = JobError(
    code="request_lost", message="the stored request is gone: Redis has evicted or lost it; submit it again"
)


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


def claim(
    job_id: str, claim_id: str, owner: str, message_template: MessageTemplate, settings: Settings
) -> Command[ClaimResult]:
    """Take the job under a lease. ``claim_id`` is new for each message; ``owner`` names the worker process."""
    queue = message_template.queue
    return script_command(
        "claim",
        keys={
            **dispatch_keys(queue),
            "job": keys.job(job_id),
            "request": keys.request(job_id),
            "log": keys.events(job_id),
            "queued_index": keys.index(State.QUEUED),
            "in_progress_index": keys.index(State.IN_PROGRESS),
            "waiting": keys.WAITING,
            "claimed": keys.claimed(queue),
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
    request_id = read_request_id(reply[13].decode(errors="replace"))
    lease = Lease(
        job_id=job_id, queue=queue, token=token, attempt=attempt, log_length=log_length, request_id=request_id
    )
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
        target=text(reply[9]),
        waits=int(reply[10]),
        age_ms=int(reply[14]),
        is_too_large=reply[11] == 1,
        is_probe=reply[12] == 1,
    )


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
