"""The transition that adds events to the log of a running job, and the events that an attempt writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from jobs.models import Lease, Progress
from jobs.results import AnswerSource, SectionStep, Usage
from jobs.storage import keys
from jobs.storage.commands import Command, script_command
from jobs.storage.transitions.shared_arguments import event_json


@dataclass(frozen=True)
class PendingEvents:
    """The events that an attempt has not yet written, and the length of the log before them."""

    log_length: int
    events: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Behind:
    """Nothing was written, because Redis has lost the job's events after ``log_length``. Send them again first."""

    log_length: int


def append(
    lease: Lease, pending: PendingEvents, usage: Usage, progress: Progress | None = None
) -> Command[int | Behind | None]:
    """Add events to the log, and record usage and progress so far.

    Returns the log's new length, None if the lease is lost.
    """
    return script_command(
        "append",
        keys={"job": keys.job(lease.job_id), "log": keys.events(lease.job_id)},
        args={
            "token": lease.token,
            "log_length": pending.log_length,
            "usage": usage.to_string(),
            "progress": progress.to_string() if progress else "",
            "channel": keys.changed_channel(lease.job_id),
            "events": pending.events,
        },
        read=lambda reply: read_written(reply, b"appended"),
    )


def read_written(reply: list[Any], success: bytes) -> int | Behind | None:
    """The number that ``append`` and ``release`` return on success; None if the lease is lost."""
    if reply[0] == b"behind":
        return Behind(int(reply[1]))
    return int(reply[1]) if reply[0] == success else None


def delta_event(text_delta: str) -> str:
    """The event with a delta of the answer's text."""
    return event_json("delta", text=text_delta)


def sources_event(sources: Sequence[AnswerSource]) -> str:
    """The event with the passages that the model is given."""
    return event_json("sources", sources=[source.model_dump() for source in sources])


def section_event(section: SectionStep, usage: Usage | None) -> str:
    """The event with the summary of a section of long documents."""
    fields = {"usage": usage.model_dump()} if usage else {}
    return event_json("section", section=section.model_dump(), **fields)


def upstream_event(data: str, text_delta: str = "", delta: str = "") -> str:
    """The event that contains a provider's event. Its type is delta if it has a text, else upstream.

    ``data`` is the JSON of a non-empty object. A non-empty ``delta`` is added to this object as a field.
    """
    extended = f'{data[:-1]},"delta":{json.dumps(delta, ensure_ascii=False)}}}' if delta else data
    head = event_json("delta", text=text_delta) if text_delta else event_json("upstream")
    return f'{head[:-1]},"data":{extended}}}'
