"""The commands that move jobs from their lines to the broker."""

from typing import Final

from jobs.storage import keys
from jobs.storage.commands import Command, plain_command, script_command, text
from jobs.storage.transitions.shared_arguments import dispatch_keys
from jobs.tenant import Tenant

_OUTBOX_SIZE: Final = 500  # ids in one round trip


def dispatch(queue: str) -> Command[float | None]:
    """Publish jobs for free slots whose target has opened with time.

    Returns the seconds until this may have an effect again: 0 when more jobs can be published now, None when no pool is
    closed until a known time.
    """
    return script_command(
        "dispatch",
        keys=dispatch_keys(queue),
        args={},
        read=lambda reply: None if reply < 0 else reply / 1000,
    )


def audit_queue(queue: str, job_ids: list[str]) -> Command[tuple[int, int]]:
    """Put jobs that wait nowhere into their lines, and correct the counts of calls.

    ``job_ids``: queued jobs to check. Returns the number of such jobs, and of targets whose counts were wrong.
    """
    return script_command(
        "audit_queue",
        keys={**dispatch_keys(queue), "waiting": keys.WAITING},
        args={"ids": job_ids},
        read=lambda reply: (int(reply[0]), int(reply[1])),
    )


def take_outbox() -> Command[list[str]]:
    """Ids of jobs that are published over another broker than Redis, which the caller now does.

    A message that the caller does not publish counts as lost, and recovery publishes it.
    """
    return plain_command("LPOP", keys.OUTBOX, _OUTBOX_SIZE, read=lambda ids: [text(job_id) for job_id in ids or ()])


def set_tenant_weight(tenant: Tenant, weight: float) -> Command[None]:
    """A tenant with twice the weight of another starts twice as many jobs while both wait. Default: 1."""
    return plain_command("HSET", keys.tenant(tenant), "weight", weight, read=lambda _: None)
