"""A job's numbered events, read from the log or a published message, or rebuilt from the stored answer.

in_progress           an attempt starts; the text of the previous attempt is void
sources               the passages of documents that the model is given; only in a chat about documents
section               a section of documents that are summarized in sections; kept for later attempts
delta                 the next part of the attempt's text
upstream              another event of the provider, unchanged; only for requests in OpenAI's own format
attempt_incomplete    the attempt ended without an answer, its text is void, and another attempt follows
completed | incomplete | failed | cancelled      the last event
"""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, get_args

from pydantic import Field, PrivateAttr, TypeAdapter, ValidationError

from jobs.base import FrozenModel, read_stored
from jobs.errors import InternalError
from jobs.kinds.base import TextAnswer
from jobs.models import JobView
from jobs.results import AnswerSource, Citation, JobError, SectionStep, Usage
from jobs.states import FINAL_STATES, State
from jobs.storage import keys

EventType: TypeAlias = Literal[
    "in_progress",
    "sources",
    "section",
    "delta",
    "upstream",
    "attempt_incomplete",
    "completed",
    "incomplete",
    "failed",
    "cancelled",
]


class Event(FrozenModel):
    """One entry of a job's event log. A field that does not apply to the type is absent."""

    sequence_number: int | None = Field(
        description="Position in the event log, from 0. Last-Event-ID and starting_after refer to it. "
        "Absent on the event that opens a replay after the log has expired."
    )
    type: EventType
    attempt: int | None = Field(default=None, description="Number of the attempt that starts or has ended, from 1.")
    text: str | None = Field(default=None, repr=False)
    data: dict[str, Any] | None = Field(
        default=None,
        repr=False,
        description="The provider's own event: a chunk of a chat completion or an event of a response.",
    )
    finish_reason: str | None = None
    usage: Usage | None = None
    error: JobError | None = None
    citations: tuple[Citation, ...] | None = Field(
        default=None, description="On the last event of a chat about documents: the places that the answer is based on."
    )
    sources: tuple[AnswerSource, ...] | None = Field(
        default=None,
        description="On `sources` and on the last event of a chat about documents: what the model was given.",
    )

    section: SectionStep | None = Field(
        default=None, description="On `section`: the part of long documents that has been summarized."
    )

    _is_unreadable: bool = PrivateAttr(default=False)

    @property
    def is_final(self) -> bool:
        return self.type in FINAL_STATES

    @property
    def is_unreadable(self) -> bool:
        """True for an entry of the log that is damaged. It may have been a part of the answer."""
        return self._is_unreadable

    def error_of_damage(self) -> InternalError:
        """The error for a reader that would take a stream with a gap for complete."""
        return InternalError("an entry of the event log is damaged")

    @classmethod
    def unreadable(cls) -> Self:
        event = cls(sequence_number=None, type="upstream")
        event._is_unreadable = True  # same class
        return event


class _LogEntry(Event):
    """An event as the log stores it: without a number, because its position is its number."""

    sequence_number: int | None = None


_LOG_ENTRY: Final[TypeAdapter[_LogEntry]] = TypeAdapter(_LogEntry)


class EventBatch(FrozenModel):
    """The consecutive events in one message on a job's channel."""

    first: int
    is_last: bool  # no event follows
    lines: Annotated[tuple[bytes, ...], Field(repr=False)]

    @classmethod
    def from_message(cls, message: bytes) -> Self | None:
        """Parse a message of the job's channel; include_log.lua writes it. None for one that cannot be read."""
        head, *lines = message.split(b"\n")
        _, _, first = head.partition(b" ")
        if not first.isdigit():
            return None
        return cls(first=int(first), is_last=message.startswith(keys.FINAL_CHANGE_PREFIX), lines=tuple(lines))

    def lines_from(self, number: int) -> tuple[bytes, ...] | None:
        """The entries from ``number`` on; None if earlier ones are missing, or if the log ended before ``number``."""
        if self.first > number or (self.is_last and number >= self.first + len(self.lines)):
            return None
        return self.lines[number - self.first :]


def read_events(lines: Sequence[bytes], first: int) -> tuple[Event, ...]:
    """Parse consecutive entries of the log; the first has the number ``first``.

    An entry of a type that this version does not know is skipped and keeps its number. Unknown and unreadable fields
    are left out. An entry that cannot be read at all is an event that ``is_unreadable``.
    """
    entries = ((first + i, _read_entry(line)) for i, line in enumerate(lines))
    return tuple(entry.model_copy(update={"sequence_number": number}) for number, entry in entries if entry)


def _read_entry(line: bytes) -> Event | None:
    try:
        return _LOG_ENTRY.validate_json(line)
    except ValidationError:
        pass
    try:
        fields = json.loads(line)
        is_known = fields["type"] in get_args(EventType)
        return read_stored(_LogEntry, fields)[0] if is_known else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):  # ValidationError is a ValueError
        return Event.unreadable()


def replay(view: JobView, after: int) -> tuple[Event, ...]:
    """The events of a final job whose log has expired, for a reader that has the events up to ``after``.

    The whole answer is one delta, after an in_progress event that voids earlier text. A reader that clears its text
    on in_progress therefore ends up with the correct answer, wherever its stream was cut.
    """
    record = view.record
    end = (record.log_length or 1) - 1
    answer = view.answer if isinstance(view.answer, TextAnswer) else None
    events = []
    if after < end - 1 and (record.attempts or answer):  # an attempt of a stopping worker is not counted
        events.append(Event(sequence_number=None, type="in_progress", attempt=record.attempts or None))
        if answer is not None and answer.text:
            events.append(Event(sequence_number=end - 1, type="delta", text=answer.text))
    return (*events, *last_event(view, after))


def last_event(view: JobView, after: int) -> tuple[Event, ...]:
    """The final event as it was written to the log, for a reader that has the events up to ``after``.

    Nothing for a state that this version does not know. The event contains no part of a partial answer.
    """
    state, number = view.record.state, (view.record.log_length or 1) - 1
    if state is None or after >= number:
        return ()
    answer = view.answer if state in {State.COMPLETED, State.INCOMPLETE} else None
    fields = answer.event_fields() if answer else {}
    usage = answer.usage if answer else None
    return (Event(sequence_number=number, type=state.value, usage=usage, error=view.error, **fields),)
