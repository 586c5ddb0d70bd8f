"""The commands that count calls of a provider and learn its limits. A target is a provider and one of its models."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from jobs.storage import keys
from jobs.storage.commands import Command, script_command, text
from jobs.storage.scripts import Argument
from jobs.storage.transitions.shared_arguments import dispatch_keys, milliseconds

Fault: TypeAlias = Literal["rate_limited", "unavailable", "quota", "denied"]


@dataclass(frozen=True)
class AfterFault:
    """``closed_seconds``: until a target of the job's pool is open; 0 if one is, which may be another one."""

    closed_seconds: float
    is_other_open: bool


@dataclass(frozen=True)
class CallTurn:
    """Whether a call may start now. ``target``: '' if the pool has none; ``wait_seconds``: until a target may open.

    ``started_ms``: by the clock of Redis.
    """

    is_open: bool
    target: str = ""
    tokens: int = 0
    started_ms: int = 0
    wait_seconds: float = 0


def note_fault(
    target: str,
    fault: Fault,
    retry_after_seconds: float | None,
    call: CallTurn | None = None,
    job_id: str | None = None,
) -> Command[AfterFault]:
    """Record that a call failed through a fault of the provider. The target may be closed for a while.

    Give ``job_id`` for a job's own call, ``call`` for any other.
    """
    return script_command(
        "note_fault",
        keys={"namespace": keys.NAMESPACE, "job": None if job_id is None else keys.job(job_id)},
        args={
            "target": target,
            "fault": fault,
            "retry_after_ms": "" if retry_after_seconds is None else milliseconds(retry_after_seconds),
            "started_ms": call.started_ms if call else "",
            "jitter": random.random(),  # noqa: S311  # spreads the probes of several targets
        },
        read=lambda reply: AfterFault(int(reply[0]) / 1000, reply[1] == 1),
    )


def note_output(target: str, job_id: str, queue: str) -> Command[None]:
    """The call of a claim with ``is_probe`` has brought its first output: the target opens for all."""
    return script_command(
        "note_output",
        keys={**dispatch_keys(queue), "job": keys.job(job_id)},
        args={"target": target},
        read=lambda _: None,
    )


def observe_limits(
    target: str,
    *,
    requests_limit: int | None,
    requests_remaining: int | None,
    tokens_limit: int | None,
    tokens_remaining: int | None,
) -> Command[None]:
    """Adopt the limits a minute that a provider states in its headers, unless they are configured."""
    values = {
        "requests_limit": requests_limit,
        "requests_remaining": requests_remaining,
        "tokens_limit": tokens_limit,
        "tokens_remaining": tokens_remaining,
    }
    return script_command(
        "observe_limits",
        keys={"namespace": keys.NAMESPACE},
        args={"target": target, **{name: "" if value is None else value for name, value in values.items()}},
        read=lambda _: None,
    )


def configure_targets(
    routes: Mapping[str, Sequence[str]],
    limits: Mapping[str, Mapping[str, Argument]],
    token_counts: Mapping[str, str] | None = None,
) -> Command[None]:
    """Write the targets of each pool, and the configured limits by the name of the target or the provider.

    The fields of a limit: ``requests_per_minute``, ``tokens_per_minute``, ``concurrency``. ``token_counts``: how a
    target or a provider counts tokens, ``reserved`` or ``used``.
    """
    return script_command(
        "configure_targets",
        keys={"namespace": keys.NAMESPACE},
        args={
            "routes": json.dumps(routes),
            "limits": json.dumps(limits),
            "token_counts": json.dumps(token_counts or {}),
        },
        read=lambda _: None,
    )


def begin_call(
    pool: str, input_tokens: int, max_output_tokens: int | None = 0, lent_target: str = ""
) -> Command[CallTurn]:
    """Count a call that a running job makes besides its own, such as embeddings, if a target of the pool is open.

    ``max_output_tokens``: None if the call has no limit. ``lent_target``: where the job's own call is counted, if that
    is not under way and no other call takes its place.
    """
    return script_command(
        "begin_call",
        keys={"namespace": keys.NAMESPACE},
        args={
            "pool": pool,
            "input_tokens": input_tokens,
            "max_output_tokens": "" if max_output_tokens is None else max_output_tokens,
            "lent": lent_target,
        },
        read=lambda reply: (
            CallTurn(True, text(reply[1]), int(reply[2]), int(reply[3]))
            if reply[0] == b"open"
            else CallTurn(False, wait_seconds=int(reply[1]) / 1000)
        ),
    )


def end_call(turn: CallTurn, used_tokens: int | None, *, has_succeeded: bool) -> Command[None]:
    """Count the end of a call that ``begin_call`` has counted."""
    return script_command(
        "end_call",
        keys={"namespace": keys.NAMESPACE},
        args={
            "target": turn.target,
            "tokens": turn.tokens,
            "started_ms": turn.started_ms,
            "used_tokens": "" if used_tokens is None else used_tokens,
            "succeeded": int(has_succeeded),
        },
        read=lambda _: None,
    )
