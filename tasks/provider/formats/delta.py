"""Deltas, the parts of a streamed answer, whichever API the provider supports."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Protocol

from jobs.results import Usage
from openai_format import usage as openai_usage
from openai_format.response_events import TEXT_DELTA
from openai_format.text import read_text, repair_surrogates
from openai_format.types import EventObject, JsonObject
from tasks.provider.limits import SizeBudget, check_depth

TRUNCATED_REASONS: Final = frozenset({"length", "content_filter"})  # finish reasons of an incomplete answer


@dataclass(frozen=True)
class Delta:
    """A part of an answer. Each field may be absent; the last deltas carry finish reason, usage and the complete body.

    ``data`` is everything except the text, in the format of the job's own API. ``data_delta`` is appended to the field
    that ``data`` names. Consecutive deltas of the same field become one event.
    """

    text: str = field(default="", repr=False)
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    data: JsonObject | None = field(default=None, repr=False)
    data_delta: str = field(default="", repr=False)
    body: JsonObject | None = field(default=None, repr=False)
    event: str = field(default="", repr=False)  # an event of ours, which is no output of the job's own call

    @cached_property
    def data_json(self) -> str:
        """The data as the log stores it. Raises ValueError for NaN and Infinity, which JSON cannot express."""
        return repair_surrogates(json.dumps(self.data, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


class StreamParser(Protocol):
    """Parses one stream, in order. Raises one of MALFORMED for malformed data."""

    @property
    def budget(self) -> SizeBudget:
        """Limits the answer's size. Deltas and the body share it, so that both are cut at the same place."""
        ...

    @property
    def is_over(self) -> bool:
        """Whether the last event was final. Always False for chat completions: their ``[DONE]`` is not parsed here."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the answer has ended; only its usage may follow."""
        ...

    def parse(self, payload: Any) -> Iterable[Delta]: ...

    def finish(self, is_done: bool) -> Iterable[Delta]:
        """The last deltas, after the end of the stream or when the budget is used up.

        ``is_done``: the stream ended with ``[DONE]``, so that an answer without a finish reason is complete.
        Raises ProviderRetryable if the stream was cut.
        """
        ...


def delta_of(event: EventObject) -> Delta:
    """The Delta for an event of a response. Removes ``delta`` from the event."""
    delta = event.pop("delta", None)
    if delta is None:
        return Delta(data=event)
    if event["type"] == TEXT_DELTA:
        return Delta(text=delta, data=event if event.get("logprobs") else None)
    return Delta(data=event, data_delta=delta)


def sanitize(delta: Delta) -> Delta:
    """Make data and body storable as JSON that can be read again. Raises one of MALFORMED."""
    if delta.data is not None:
        check_depth(delta.data, delta.data_json)
        return delta
    if delta.body is None:
        return delta
    as_json = json.dumps(delta.body, allow_nan=False)
    check_depth(delta.body, as_json)
    return replace(delta, body=repair_texts(delta.body)) if r"\ud" in as_json else delta


def repair_texts(value: Any) -> Any:
    """The value with every half of a surrogate pair replaced or joined."""
    return json.loads(repair_surrogates(json.dumps(value, ensure_ascii=False)))


def read_model(payload: JsonObject) -> str | None:
    return repair_surrogates(read_text(payload.get("model")) or "") or None


def read_usage(usage: Any) -> Usage | None:
    """The token counts of a provider; None if they are missing or unreadable."""
    counts = openai_usage.read_counts(usage)
    return None if counts is None else Usage(**counts._asdict())
