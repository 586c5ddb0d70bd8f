"""The transitions that only maintenance uses. Recovery also ends and releases jobs: see finish.py and release.py."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from jobs.priorities import Priority
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Command, plain_command, script_command, text
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions.shared_arguments import dispatch_keys, milliseconds
from jobs.tenant import Tenant

LOST_MESSAGE_SECONDS: Final = 5.0  # a message is claimed within milliseconds after it has left the broker
_MODELS_TTL_SECONDS: Final = 86_400  # longer than any outage of a provider that is still in use


def republish(
    job_id: str, message_template: MessageTemplate, lost_after_seconds: float = LOST_MESSAGE_SECONDS
) -> Command[str]:
    """Put a queued job whose retry is due into its line, or publish a lost message again that is at least that old.

    Returns republished, queued, early or gone.
    """
    return script_command(
        "republish",
        keys={
            **dispatch_keys(message_template.queue),
            "job": keys.job(job_id),
            "waiting": keys.WAITING,
            "broker_list_high": message_template.high_list,
        },
        args={"id": job_id, "message_high": message_template.high, "lost_after_ms": milliseconds(lost_after_seconds)},
        read=text,
    )


def undelivered(
    message_template: MessageTemplate, priority: Priority, messages_left: int | None, limit: int
) -> Command[list[str]]:
    """Queued jobs of a priority whose message is lost.

    ``messages_left``: messages in the queue of a broker other than Redis; None when Redis is the broker.
    """
    queue, is_high = message_template.queue, priority == "high"
    return script_command(
        "undelivered",
        keys={
            "messages": keys.messages_high(queue) if is_high else keys.messages(queue),
            "claimed": keys.claimed_high(queue) if is_high else keys.claimed(queue),
            "broker_list": message_template.high_list if is_high else message_template.normal_list,
        },
        args={"messages_left": -1 if messages_left is None else messages_left, "limit": limit},
        read=lambda reply: [text(job_id) for job_id in reply],
    )


def put_off(index: str, job_id: str, until_ms: int) -> Command[None]:
    """Look at this entry of an index of times again only then. Does nothing if the entry is gone."""
    return plain_command("ZADD", index, "XX", until_ms, job_id, read=lambda _: None)


def ghosts(record_keys: Mapping[str, str]) -> Command[list[str]]:
    """Which ids have no record, though it has not expired. ``record_keys``: the key of each id's record."""
    return script_command(
        "ghosts",
        keys={"expiry": keys.EXPIRY, "records": list(record_keys.values())},
        args={"ids": list(record_keys)},
        read=lambda reply: [text(name) for name in reply],
    )


def count_ghosts(number: int) -> Command[None]:
    """Add to the number of jobs and documents that indexes still contained after their record was lost."""
    return plain_command("HINCRBY", keys.TOTALS, "ghosts", number, read=lambda _: None)


def become_leader(worker: str, for_ms: int) -> Command[bool]:
    """Take or renew the leader lock of maintenance. Returns whether this worker is now the leader."""
    return script_command(
        "leader",
        keys={"leader": keys.LEADER},
        args={"worker": worker, "ttl_ms": for_ms},
        read=lambda reply: reply == 1,
    )


def note_primary(run_id: str) -> Command[float]:
    """Record which server is the primary. Returns for how many seconds it has been, since a failover or a restart."""
    return script_command(
        "note_primary", keys={"primary": keys.PRIMARY}, args={"run_id": run_id}, read=lambda reply: int(reply) / 1000
    )


def refuse_submits(for_seconds: int) -> Command[None]:
    """Refuse every create for a while, so that memory is left for the running jobs to finish. Safe to send again."""
    return plain_command("SET", keys.FULL, 1, "EX", for_seconds, read=lambda _: None)


def audit_sizes(tenants: Iterable[Tenant]) -> Command[tuple[bool, bool]]:
    """Correct the sizes of all requests of jobs that have not ended, and of all documents.

    ``tenants``: all there are. Returns whether each of the two was wrong. A size is checked only while there is not
    much to add up.
    """
    return script_command(
        "audit_sizes",
        keys={
            "namespace": keys.NAMESPACE,
            "queued_index": keys.index(State.QUEUED),
            "in_progress_index": keys.index(State.IN_PROGRESS),
            "bytes": keys.BYTES,
            "documents": [keys.documents(tenant) for tenant in tenants],
        },
        args={},
        read=lambda reply: (reply[0] == 1, reply[1] == 1),
    )


def claim_model_list_turn(worker: str, for_seconds: int) -> Command[bool]:
    """Returns whether this worker may fetch the provider's model list. No other worker may within ``for_seconds``.

    If its reply is lost, the command returns False when it is sent again, and the list is fetched one turn later.
    """
    return plain_command("SET", keys.MODELS_TURN, worker, "NX", "EX", for_seconds, read=lambda reply: reply is not None)


def remember_item(tenant: Tenant, item_id: str, place: str, ttl_seconds: int) -> Command[None]:
    """Remember the place of an output item: its job and its position. Safe to send again."""
    return plain_command("SET", keys.item(tenant, item_id), place, "EX", ttl_seconds, read=lambda _: None)


def save_models(models: list[dict[str, Any]]) -> Command[None]:
    """Replace the stored model list. Safe to send again."""
    return plain_command("SET", keys.MODELS, json.dumps(models), "EX", _MODELS_TTL_SECONDS, read=lambda _: None)
