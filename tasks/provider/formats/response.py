"""Parses a response: forwards its events unchanged, except for the first and the last, which the API creates itself."""

import sys
from collections.abc import Iterable
from typing import Any, Final

from openai_format import response_events
from openai_format.items import are_valid_items
from openai_format.response_accumulator import ResponseAccumulator, is_valid_event
from openai_format.text import SurrogateJoiner, read_text, repair_surrogates
from openai_format.types import EventObject, Item, JsonObject
from tasks.provider.errors import from_stream_error, stream_cut
from tasks.provider.formats.delta import Delta, delta_of, read_model, read_usage
from tasks.provider.limits import SizeBudget

_OWN_FIELDS: Final = frozenset({"sequence_number", "obfuscation"})
_START_EVENTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_PLAIN_MESSAGE: Final[Item] = {"type": "message"}  # its text is all of the answer's text


class ResponseParser:
    """Malformed events are skipped: the response is complete without them."""

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.budget = SizeBudget(max_chars)
        self._joiner = SurrogateJoiner()
        self._open: tuple[Any, int, int] | None = None  # position of the text part that was opened last
        self._accumulator = ResponseAccumulator()
        self.is_over = False

    def parse(self, event: Any) -> Iterable[Delta]:
        kind = event["type"]
        if not isinstance(kind, str):
            return ()
        if kind == response_events.TEXT_DELTA:
            return self._text_delta(_without_own_fields(event))
        if kind in _START_EVENTS:
            return (Delta(model=read_model(event.get("response") or {})),)
        if kind in ("response.completed", "response.incomplete"):
            self.is_over = True
            return (self._final_delta(event["response"]),)
        if kind in ("response.failed", "response.cancelled"):
            raise from_stream_error((event.get("response") or {}).get("error"))
        if kind == "error":
            raise from_stream_error(event)
        return self._pass_through(_without_own_fields(event)) if is_valid_event(event) else ()

    def finish(self) -> Iterable[Delta]:
        if self.is_over:
            return ()
        if not self.budget.is_full:
            raise stream_cut()
        return (Delta(body={"output": self._output()}),)

    def _pass_through(self, event: EventObject) -> Iterable[Delta]:
        kind = event["type"]
        if kind == response_events.PART_ADDED and event["part"].get("type") == "output_text":
            self._open = _position(event)
        if kind.endswith(".delta") and isinstance(event.get("delta"), str):
            return self._data_delta(event)
        self._accumulator.add(event)
        return (Delta(data=self._accumulator.strip(event)),)

    def _text_delta(self, event: EventObject) -> Iterable[Delta]:
        position = _position(event)
        is_known = position == self._open
        text = self.budget.take(self._joiner.join(read_text(event.pop("delta")) or ""))
        if not text or not (is_known or is_valid_event(event)):
            return ()
        self._accumulator.add_text(position[1], position[2], text)
        return (Delta(text=text, data=None if is_known and not event.get("logprobs") else event),)

    def _data_delta(self, event: EventObject) -> Iterable[Delta]:
        event["delta"] = self.budget.take(repair_surrogates(event["delta"]))
        if not event["delta"]:
            return ()
        delta = delta_of(event)
        self._accumulator.add_delta(event, delta.data_delta)
        return (delta,)

    def _final_delta(self, response: JsonObject) -> Delta:
        usage, output = read_usage(response.get("usage")), response.get("output")
        repaired = {
            "usage": response["usage"] if usage else None,
            "output": output if are_valid_items(output) else self._output(),
        }
        return Delta(
            finish_reason=_finish_reason(response),
            usage=usage,
            model=read_model(response),
            body=response | repaired,
        )

    def _output(self) -> list[Item]:
        return self._accumulator.output() or [_PLAIN_MESSAGE]


def _without_own_fields(event: EventObject) -> EventObject:
    return {name: value for name, value in event.items() if name not in _OWN_FIELDS}


def _finish_reason(response: JsonObject) -> str:
    """The finish reason in the words of a chat completion."""
    if response["status"] == "completed":
        return "stop"
    reason = (response.get("incomplete_details") or {}).get("reason")
    return "content_filter" if reason == "content_filter" else "length"


def _position(event: EventObject) -> tuple[Any, int, int]:
    """The position of a text part. Some providers send no item id."""
    return event.get("item_id"), event["output_index"], event["content_index"]
