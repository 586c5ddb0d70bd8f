"""Encoding shared by several transitions: events, the counts of a minute, and the KEYS and ARGV of a final write."""

import json
import time
from collections.abc import Mapping
from typing import Any

from jobs.errors import InternalError
from jobs.models import FailedAttempt
from jobs.priorities import NORMAL_PRIORITY
from jobs.results import JobError
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.scripts import Argument


def minute() -> str:
    """The key of the current minute's counts."""
    return keys.minute(int(time.time() // 60))


def event_json(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def attempt_entry(attempt: int, error: JobError) -> str:
    """One entry of the list of failed attempts."""
    failed = FailedAttempt(attempt=attempt, at_ms=int(time.time() * 1000), code=error.code, message=error.message)
    return failed.model_dump_json()


def dispatch_keys(queue: str) -> dict[str, str]:
    """The KEYS of include_dispatch.lua."""
    return {
        "namespace": keys.NAMESPACE,
        "window": keys.window(queue),
        "seq": keys.SEQ,
        "messages": keys.messages(queue),
        "messages_high": keys.messages_high(queue),
        "broker_list": keys.broker_list(queue, NORMAL_PRIORITY),
        "leases": keys.LEASES,
    }


def finalize_keys(job_id: str, queue: str, state: State) -> dict[str, str]:
    """The KEYS of include_finalize.lua. ``state`` is the final one."""
    return {
        **dispatch_keys(queue),
        "job": keys.job(job_id),
        "request": keys.request(job_id),
        "log": keys.events(job_id),
        "attempts": keys.attempts(job_id),
        "result": keys.result(job_id),
        "final_index": keys.index(state),
        "expiry": keys.EXPIRY,
        "totals": keys.TOTALS,
        "minute": minute(),
        "queued_index": keys.index(State.QUEUED),
        "in_progress_index": keys.index(State.IN_PROGRESS),
        "waiting": keys.WAITING,
        "deadlines": keys.DEADLINES,
        "bytes": keys.BYTES,
    }


def finalize_args(job_id: str, settings: Settings, used_tokens: int | None = None) -> dict[str, Argument]:
    """The ARGV of include_finalize.lua."""
    return {
        "id": job_id,
        "result_ttl": settings.result_ttl_seconds,
        "events_ttl": settings.events_ttl_seconds,
        "large_request_ttl": settings.large_request_ttl_seconds,
        "channel": keys.changed_channel(job_id),
        "used_tokens": "" if used_tokens is None else used_tokens,
    }


def milliseconds(seconds: float) -> int:
    """Raises InternalError for a negative duration."""
    if seconds < 0:
        raise InternalError("a duration must not be negative")
    return round(seconds * 1000)


def pairs(fields: Mapping[str, Argument]) -> list[Argument]:
    """Field, value, field, value, ...: the form in which scripts take the fields of a record."""
    return [argument for pair in fields.items() for argument in pair]
