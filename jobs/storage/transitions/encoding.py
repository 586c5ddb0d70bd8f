"""What several verbs write alike: events, counts by the minute, and the KEYS of a final write."""

import json
import time
from typing import Any

from jobs.errors import InternalError
from jobs.models import FailedAttempt
from jobs.results import JobError
from jobs.states import State
from jobs.storage import keys


def minute() -> str:
    return keys.minute(int(time.time() // 60))


def event_json(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def attempt_entry(attempt: int, error: JobError) -> str:
    """One line of the list of failed attempts."""
    failed = FailedAttempt(attempt=attempt, at_ms=int(time.time() * 1000), code=error.code, message=error.message)
    return failed.model_dump_json()


def finalize_keys(job_id: str, queue: str, state: State) -> list[str]:
    """The KEYS of every final write; the order is that of include_finalize.lua."""
    return [
        keys.job(job_id),
        keys.request(job_id),
        keys.events(job_id),
        keys.attempts(job_id),
        keys.result(job_id),
        keys.index(state),
        keys.EXPIRY,
        keys.TOTALS,
        minute(),
        keys.LEASES,
        keys.index(State.QUEUED),
        keys.index(State.IN_PROGRESS),
        keys.WAITING,
        keys.DEADLINES,
        keys.messages(queue),
        keys.messages_high(queue),
    ]


def milliseconds(seconds: float) -> int:
    if seconds < 0:
        raise InternalError("a duration must not be negative")
    return round(seconds * 1000)
