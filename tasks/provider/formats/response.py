"""A response of a provider that speaks Responses: its events pass as they came, but for what a front says itself."""

import sys
from collections.abc import Iterable
from typing import Any, Final

from tasks.provider.errors import from_stream_error, stream_cut
from tasks.provider.formats.delta import Delta, SurrogateJoiner, read_model, read_text, read_usage, repair_surrogates
from tasks.provider.formats.response_accumulator import (
    ResponseAccumulator,
    TextPosition,
    are_valid_items,
    is_valid_event,
)
from tasks.provider.limits import SizeBudget

_OWN_FIELDS: Final = frozenset({"sequence_number", "obfuscation"})
_START_EVENTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_PLAIN_MESSAGE: Final[dict[str, Any]] = {"type": "message"}  # all of the text, without a word of its own


class ResponseParser:
    """An event that makes no sense is passed over: the response is whole without it."""

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.budget = SizeBudget(max_chars)
        self._joiner = SurrogateJoiner()
        self._open: TextPosition | None = None
        self._accumulator = ResponseAccumulator()
        self.is_over = False

    def parse(self, event: Any) -> Iterable[Delta]:
        kind = event["type"]
        if not isinstance(kind, str):
            return ()
        if kind == "response.output_text.delta":
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

    def _pass_through(self, event: dict[str, Any]) -> Iterable[Delta]:
        kind = event["type"]
        if kind == "response.content_part.added" and event["part"].get("type") == "output_text":
            self._open = _text_position(event)
        if kind.endswith(".delta") and isinstance(event.get("delta"), str):
            return self._data_delta(event)
        return (Delta(data=self._accumulator.without_known_text(event)),)

    def _text_delta(self, event: dict[str, Any]) -> Iterable[Delta]:
        position = _text_position(event)
        is_known = position == self._open
        text = self.budget.take(self._joiner.join(read_text(event.pop("delta")) or ""))
        if not text or not (is_known or is_valid_event(event)):
            return ()
        self._accumulator.add_text(position, text)
        return (Delta(text=text, data=None if is_known and not event.get("logprobs") else event),)

    def _data_delta(self, event: dict[str, Any]) -> Iterable[Delta]:
        delta = self.budget.take(repair_surrogates(event.pop("delta")))
        if not delta:
            return ()
        self._accumulator.add_delta(event, delta)
        return (Delta(data_delta=delta, data=event),)

    def _final_delta(self, response: dict[str, Any]) -> Delta:
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

    def _output(self) -> list[dict[str, Any]]:
        return self._accumulator.output() or [_PLAIN_MESSAGE]


def _without_own_fields(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name not in _OWN_FIELDS}


def _finish_reason(response: dict[str, Any]) -> str:
    """In the word of a chat completion."""
    if response["status"] == "completed":
        return "stop"
    reason = (response.get("incomplete_details") or {}).get("reason")
    return "content_filter" if reason == "content_filter" else "length"


def _text_position(event: dict[str, Any]) -> TextPosition:
    return event.get("item_id"), event["output_index"], event["content_index"]
