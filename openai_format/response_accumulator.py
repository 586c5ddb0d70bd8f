"""Accumulates the events of a response to its items.

A provider's events repeat a finished text up to three times. `strip` removes a text from an event if the deltas have
already delivered it, so that a log contains it once. `fill` restores the text when the log is read.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from openai_format import response_events
from openai_format.items import is_valid_item, is_valid_part, output_text_part
from openai_format.response_events import PartPosition, part_position
from openai_format.types import EventObject, Item, ItemStatus, JsonObject, Part

_PartChange: TypeAlias = Callable[[Part, int, int], Part]  # of a part, its output index and its content index

_PART_FIELDS: Final = frozenset({"output_index", "content_index", "part"})
_ITEM_FIELDS: Final = frozenset({"output_index", "item"})
_NO_FIELDS: Final[frozenset[str]] = frozenset()
_REQUIRED_FIELDS: Final = {
    response_events.ITEM_ADDED: _ITEM_FIELDS,
    response_events.ITEM_DONE: _ITEM_FIELDS,
    response_events.PART_ADDED: _PART_FIELDS,
    response_events.PART_DONE: _PART_FIELDS,
    response_events.TEXT_DONE: frozenset({"output_index", "content_index"}),
}
_REASONING_DELTAS: Final = {  # list of the reasoning item, index into it, and type of its part
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text"),
}


def is_valid_event(event: EventObject) -> bool:
    """True if the event has the positions, items and parts that its type requires."""
    has_required = event.keys() >= _REQUIRED_FIELDS.get(event["type"], _NO_FIELDS)
    return has_required and all(is_valid(event[name]) for name, is_valid in _FIELD_CHECKS.items() if name in event)


def _is_index(value: Any) -> bool:
    return isinstance(value, int)


def _is_output_item(value: Any) -> bool:
    if not (is_valid_item(value) and isinstance(value.get("id"), str)):
        return False
    content = value.get("content") or []
    return isinstance(content, list) and all(map(is_valid_part, content))


_FIELD_CHECKS: Final[dict[str, Callable[[Any], bool]]] = {
    "output_index": _is_index,
    "content_index": _is_index,
    "summary_index": _is_index,
    "item": _is_output_item,
    "part": is_valid_part,
}


class ResponseAccumulator:
    """Accumulates the items of one response, or of one attempt at it."""

    def __init__(self) -> None:
        self._items: dict[int, Item] = {}
        self._open: set[int] = set()
        self._open_parts: dict[int, PartPosition] = {}  # by output index; the text part opened last comes last
        self._texts: dict[tuple[int, int], list[str]] = defaultdict(list)
        self._arguments: dict[int, list[str]] = defaultdict(list)
        self._reasoning: dict[tuple[int, str, int, str], list[str]] = defaultdict(list)

    def add(self, event: EventObject) -> None:
        """Add a valid event that is not a delta."""
        index = event.get("output_index", 0)
        match event["type"]:
            case response_events.ITEM_ADDED:
                self._add_item(index, event["item"])
            case response_events.ITEM_DONE:
                self._items[index] = event["item"]
                self._open.discard(index)
                self._open_parts.pop(index, None)
            case response_events.PART_ADDED if event["part"].get("type") == "output_text" and index in self._open:
                self._open_part(index, event["content_index"], event["part"].get("text"))
            case response_events.PART_DONE:
                self._open_parts.pop(index, None)

    def add_text(self, output_index: int, content_index: int, text: str) -> None:
        """Add a delta of an output text."""
        self._texts[output_index, content_index].append(text)

    def add_delta(self, event: EventObject, delta: str) -> None:
        """Add a delta of any other kind. ``event`` is the event without the delta."""
        index = event.get("output_index", 0)
        if event["type"] == response_events.ARGUMENTS_DELTA:
            self._arguments[index].append(delta)
        elif event["type"] in _REASONING_DELTAS:
            list_name, number, kind = _REASONING_DELTAS[event["type"]]
            self._reasoning[index, list_name, event.get(number, 0), kind].append(delta)

    @property
    def open_part(self) -> PartPosition | None:
        """The open text part that was opened last: deltas without a position belong to it."""
        return next(reversed(self._open_parts.values()), None)

    def text_at(self, output_index: int, content_index: int) -> str:
        return "".join(self._texts.get((output_index, content_index), ()))

    def open_items(self) -> list[tuple[int, Item]]:
        """The output index and the item of each open item, with the status incomplete."""
        return [(index, self._incomplete_item(index)) for index in sorted(self._open)]

    def output(self, status: ItemStatus = "incomplete") -> list[Item]:
        """All items so far; the open ones get the status."""
        return [
            {**self._incomplete_item(index), "status": status} if index in self._open else item
            for index, item in sorted(self._items.items())
        ]

    def rest_of(self, output: list[JsonObject]) -> list[EventObject] | None:
        """The events that complete the items so far to this output; None if they contradict it."""
        events: list[EventObject] = []
        if len(self._items) > len(output):
            return None
        for index, item in enumerate(output):
            if index not in self._items:
                events += response_events.whole_item(item, index)
                continue
            rest = self._rest_of_item(index, item)
            if rest is None:
                return None
            events += rest
        return events

    def _rest_of_item(self, index: int, item: JsonObject) -> list[EventObject] | None:
        if self._items[index]["type"] != item["type"]:
            return None
        events: list[EventObject] = []
        for number, part in enumerate(item.get("content") or () if item["type"] == "message" else ()):
            position, text = part_position(item["id"], index, number), self.text_at(index, number)
            if part.get("type") != "output_text" or index not in self._open:
                continue
            if not (part.get("text") or "").startswith(text):
                return None
            if self._open_parts.get(index) == position:
                events += response_events.rest_of_part(position, part, text)
            elif (index, number) not in self._texts:
                events += response_events.whole_part(position, part)
        return [*events, response_events.item_done(index, item)] if index in self._open else events

    def missing_texts(self, event: EventObject) -> list[tuple[PartPosition, str]]:
        """The ends of texts that no delta has delivered, with their positions, of an event that ends a text."""
        missing: list[tuple[PartPosition, str]] = []

        def collect(part: Part, output_index: int, content_index: int) -> Part:
            is_text = part.get("type") in ("output_text", response_events.TEXT_DONE)
            text, streamed = part.get("text") or "" if is_text else "", self.text_at(output_index, content_index)
            if len(text) > len(streamed) and text.startswith(streamed) and output_index in self._items:
                position = part_position(self._items[output_index]["id"], output_index, content_index)
                missing.append((position, text[len(streamed) :]))
            return part

        _change_parts(event, collect)
        return missing

    def strip(self, event: EventObject) -> EventObject:
        """The event without the texts that equal their deltas."""
        return _change_parts(event, self._without_known_text)

    def fill(self, event: EventObject) -> EventObject:
        """The event with the texts that `strip` has removed."""
        return _change_parts(event, self._with_known_text)

    def _add_item(self, index: int, item: Item) -> None:
        if index in self._items:  # the index is used again: the deltas so far belong to the earlier item
            for position in [position for position in self._texts if position[0] == index]:
                del self._texts[position]
        self._items[index] = item
        self._open.add(index)

    def _open_part(self, index: int, content_index: int, text: str | None) -> None:
        self._open_parts.pop(index, None)
        self._open_parts[index] = part_position(self._items[index]["id"], index, content_index)
        self._texts[index, content_index] = [text] if text else []

    def _incomplete_item(self, index: int) -> Item:
        item = self._items[index]
        fields: JsonObject = {}
        if item["type"] == "message":
            fields = {"content": [output_text_part(text) for text in self._texts_of(index) if text]}
        elif item["type"] == "function_call" and index in self._arguments:
            fields = {"arguments": "".join(self._arguments[index])}
        elif item["type"] == "reasoning":
            fields = self._reasoning_fields(index)
        return {**item, **fields, "status": "incomplete"}

    def _texts_of(self, index: int) -> list[str]:
        return ["".join(deltas) for position, deltas in sorted(self._texts.items()) if position[0] == index]

    def _reasoning_fields(self, index: int) -> JsonObject:
        """Some providers send the reasoning, some a summary, some both."""
        fields: JsonObject = defaultdict(list)
        for (position, list_name, _, kind), deltas in sorted(self._reasoning.items()):
            if position == index:
                fields[list_name].append({"type": kind, "text": "".join(deltas)})
        return fields

    def _without_known_text(self, part: Part, output_index: int, content_index: int) -> Part:
        text = self.text_at(output_index, content_index)
        if not text or part.get("text") != text:
            return part
        return {name: value for name, value in part.items() if name != "text"}

    def _with_known_text(self, part: Part, output_index: int, content_index: int) -> Part:
        if "text" in part or (output_index, content_index) not in self._texts:
            return part
        return {**part, "text": self.text_at(output_index, content_index)}


def _change_parts(event: EventObject, change: _PartChange) -> EventObject:
    """The event with its text parts changed. The event ``output_text.done`` is itself a text part."""
    index = event.get("output_index", 0)
    match event["type"]:
        case response_events.TEXT_DONE:
            return dict(change(event, index, event["content_index"]))
        case response_events.PART_DONE:
            return event | {"part": change(event["part"], index, event["content_index"])}
        case response_events.ITEM_DONE if isinstance(event["item"].get("content"), list):
            parts = [change(part, index, number) for number, part in enumerate(event["item"]["content"])]
            return event | {"item": {**event["item"], "content": parts}}
    return event
