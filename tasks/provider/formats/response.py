"""Parses a response: forwards its events, except for the first and the last, which the API creates itself."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, Final

from openai_format import response_events
from openai_format.event_repair import EventRepair, repaired_items
from openai_format.items import are_valid_items, output_text_of
from openai_format.response_accumulator import ResponseAccumulator, is_valid_event
from openai_format.text import SurrogateJoiner, read_text, repair_surrogates
from openai_format.types import EventObject, Item, ItemStatus, JsonObject
from tasks.provider.errors import from_stream_error, protocol_error, stream_cut
from tasks.provider.formats.delta import Delta, delta_of, read_model, read_usage, repair_texts
from tasks.provider.limits import SizeBudget

_OWN_FIELDS: Final = frozenset({"sequence_number", "obfuscation"})
_START_EVENTS: Final = frozenset({"response.created", "response.queued", "response.in_progress"})
_PLAIN_MESSAGE: Final[Item] = {"type": "message"}  # its text is all of the answer's text
_POSITION: Final = ("item_id", "output_index", "content_index")


class ResponseParser:
    """Malformed events are repaired or skipped: the response is complete without them."""

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.budget = SizeBudget(max_chars)
        self._joiner = SurrogateJoiner()
        self._repair = EventRepair()
        self._place: tuple[Any, ...] | None = None  # the position of the latest text delta, as the provider sent it
        self._position: JsonObject = {}  # the same, repaired
        self._accumulator = ResponseAccumulator()
        self._has_text = False
        self.is_over = False

    @property
    def is_complete(self) -> bool:
        return self.is_over

    def parse(self, event: Any) -> Iterable[Delta]:
        kind = event.get("type")
        if event.get("object") == "response":  # not an event: the provider did not stream
            kind, event = f"response.{event['status']}", {"response": event}
            if kind in _START_EVENTS:
                raise protocol_error()
        if not isinstance(kind, str):
            return ()
        if kind == response_events.TEXT_DELTA:
            return self._text_delta(event)
        if kind in _START_EVENTS:
            return (Delta(model=read_model(event.get("response") or {})),)
        if kind in ("response.completed", "response.incomplete", "response.done"):
            self.is_over = True
            return self._final_deltas(event["response"])
        if kind in ("response.failed", "response.cancelled"):
            raise from_stream_error((event.get("response") or {}).get("error"))
        if kind == "error":
            raise from_stream_error(event)
        return [*self._rest_of_text(), *self._pass_through(self._repair.repair(_without_own_fields(event)))]

    def finish(self, is_done: bool) -> Iterable[Delta]:
        del is_done  # only chat completions end so
        if self.is_over:
            return ()
        if not self.budget.is_full:
            raise stream_cut()
        return (Delta(body={"output": self._output("incomplete")}),)

    def _pass_through(self, events: Iterable[EventObject]) -> Iterator[Delta]:
        for event in events:
            if not is_valid_event(event):
                continue
            if isinstance(event.get("delta"), str) and event["type"].endswith(".delta"):
                yield from self._data_delta(event)
            else:
                yield from self._missing_text(event)
                self._accumulator.add(event)
                yield Delta(data=self._accumulator.strip(event))

    def _missing_text(self, event: EventObject) -> Iterator[Delta]:
        """The end of a text that only its last events contain."""
        for position, text in self._accumulator.missing_texts(event):
            yield from self._text({**position}, text)

    def _text_delta(self, event: EventObject) -> Iterator[Delta]:
        text = read_text(event.get("delta")) or ""
        place = tuple(event.get(name) for name in _POSITION)
        if place != self._place or self._accumulator.open_part != self._position:
            *opening, event = self._repair.repair(_without_own_fields(event)) or [{}]
            if not (event and text and is_valid_event(event)):
                return
            yield from self._pass_through(opening)
            self._place, self._position = place, {name: event[name] for name in _POSITION}
        yield from self._text(event | self._position, text)

    def _text(self, event: EventObject, text: str) -> Iterator[Delta]:
        text = self.budget.take(self._joiner.join(text))
        if not text:
            return
        self._has_text = True
        if not event:
            yield Delta(text=text)
            return
        position = {name: event[name] for name in _POSITION}
        self._accumulator.add_text(event["output_index"], event["content_index"], text)
        if position == self._accumulator.open_part and not event.get("logprobs"):
            yield Delta(text=text)
            return
        yield Delta(text, data={name: value for name, value in _without_own_fields(event).items() if name != "delta"})

    def _data_delta(self, event: EventObject) -> Iterator[Delta]:
        if event["type"] == response_events.TEXT_DELTA:
            yield from self._text(event, event["delta"])
            return
        event["delta"] = self.budget.take(repair_surrogates(event["delta"]))
        if not event["delta"]:
            return
        delta = delta_of(event)
        self._accumulator.add_delta(event, delta.data_delta)
        yield delta

    def _final_deltas(self, response: JsonObject) -> Iterator[Delta]:
        """What the final response adds to the stream, and the response itself."""
        reason = _finish_reason(response)
        usage, output = read_usage(response.get("usage")), response.get("output")
        yield from self._rest_of_text()
        if are_valid_items(output) and output:
            output = repaired_items(repair_texts(output), self._accumulator.output())
            yield from self._rest_of(output)
        else:
            output = self._output("completed" if reason == "stop" else "incomplete")
        if self.budget.is_full:
            output = self._output("incomplete")
        body = response | {"usage": response["usage"] if usage else None, "output": output}
        yield Delta(finish_reason=reason, usage=usage, model=read_model(response), body=body)

    def _rest_of(self, output: list[JsonObject]) -> Iterator[Delta]:
        """What was not streamed of the final output. An output that contradicts the stream adds nothing but a text."""
        rest = self._accumulator.rest_of(output)
        if rest is not None:
            yield from self._pass_through(rest)
        elif not self._has_text:
            yield from self._text({}, output_text_of(output))

    def _rest_of_text(self) -> Iterator[Delta]:
        """The rest of a text that ended with half a surrogate pair."""
        if rest := self._joiner.flush():
            yield from self._text(self._position, rest)

    def _output(self, status: ItemStatus) -> list[Item]:
        """The items that were streamed; ``status`` is that of the items that were not finished."""
        return self._accumulator.output(status) or [_PLAIN_MESSAGE]


def _without_own_fields(event: EventObject) -> EventObject:
    return {name: value for name, value in event.items() if name not in _OWN_FIELDS}


def _finish_reason(response: JsonObject) -> str:
    """The finish reason in the words of a chat completion."""
    if response.get("status", "completed") == "completed":
        return "stop"
    reason = (response.get("incomplete_details") or {}).get("reason")
    return "content_filter" if reason == "content_filter" else "length"
