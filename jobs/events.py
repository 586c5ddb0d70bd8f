"""A job's events as its followers read them, numbered: the same from the log, an announcement or the answer.

in_progress           an attempt begins: the text starts anew
delta                 a piece of its text
upstream              what else the provider said, as it said it: only where it was asked in OpenAI's own shape
attempt_incomplete    it ended without an answer; another one follows, its text is void
completed | incomplete | failed | cancelled      the end: nothing follows
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import Field, TypeAdapter

from jobs.base import FrozenModel
from jobs.kinds.base import TextAnswer
from jobs.models import JobView
from jobs.results import Citation, JobError, Usage
from jobs.states import FINAL_STATES, State
from jobs.storage import keys

EventType: TypeAlias = Literal[
    "in_progress", "delta", "upstream", "attempt_incomplete", "completed", "incomplete", "failed", "cancelled"
]


class Event(FrozenModel):
    """One entry of a job's stream; what its type does not have is absent."""

    sequence_number: int | None = Field(
        description="Its place in the log, from 0: what Last-Event-ID and starting_after name. "
        "Absent when it only opens the replay of an answer whose log has expired."
    )
    type: EventType
    attempt: int | None = Field(default=None, description="Number of the attempt that begins or has ended, from 1.")
    text: str | None = Field(default=None, repr=False)
    data: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="A chunk of a chat completion, or an event of a response; beside a text: what came with it.",
    )
    finish_reason: str | None = None
    usage: Usage | None = None
    error: JobError | None = None
    citations: tuple[Citation, ...] | None = Field(
        default=None, description="At the end, where documents were asked: where the answer stands in them."
    )

    @property
    def is_final(self) -> bool:
        return self.type in FINAL_STATES


class _LogEntry(Event):
    """As the log holds it: its place is its number."""

    sequence_number: int | None = None


_LOG_ENTRY: Final[TypeAdapter[_LogEntry]] = TypeAdapter(_LogEntry)


class EventBatch(FrozenModel):
    """Events that follow one another without a gap, as an announcement carries them."""

    first: int
    is_last: bool  # nothing is written after them
    lines: Annotated[tuple[bytes, ...], Field(repr=False)]

    @classmethod
    def from_message(cls, message: bytes) -> Self:
        """Of the channel on which a job's changes are told; include_log.lua writes it."""
        head, *lines = message.split(b"\n")
        return cls(first=int(head.split()[1]), is_last=message.startswith(keys.FINAL_CHANGE_PREFIX), lines=tuple(lines))

    def events_from(self, number: int) -> tuple[Event, ...] | None:
        """Those from that number on; None when there is a gap before them, or when the log has ended before it."""
        if self.first > number or (self.is_last and number >= self.first + len(self.lines)):
            return None
        return read_events(self.lines[number - self.first :], number)


def read_events(lines: Sequence[bytes], first: int) -> tuple[Event, ...]:
    """Entries of the log, the first of which has that number."""
    entries = map(_LOG_ENTRY.validate_json, lines)
    return tuple(entry.model_copy(update={"sequence_number": first + i}) for i, entry in enumerate(entries))


def replay(view: JobView, after: int) -> tuple[Event, ...]:
    """What a reader who has seen the events up to ``after`` still needs of a final job whose log has expired.

    The answer in one piece, after an event that makes the text start anew: so whoever obeys the events ends with the
    same text wherever the cut was.
    """
    record = view.record
    end = (record.log_length or 1) - 1
    answer = view.answer if isinstance(view.answer, TextAnswer) else None
    events = []
    if after < end - 1 and (record.attempts or answer):  # a worker that stops has its attempt not counted
        events.append(Event(sequence_number=None, type="in_progress", attempt=record.attempts or None))
        if answer is not None and answer.text:
            events.append(Event(sequence_number=end - 1, type="delta", text=answer.text))
    if after < end:
        events.append(_last_event(end, view))
    return tuple(events)


def _last_event(number: int, view: JobView) -> Event:
    """As it was written when the job ended: of a partial answer it told nothing."""
    state = view.record.state
    answer = view.answer if state in {State.COMPLETED, State.INCOMPLETE} else None
    return Event(
        sequence_number=number,
        type=state.value,
        usage=answer.usage if answer else None,
        error=view.error,
        **(answer.event_fields() if answer else {}),
    )
