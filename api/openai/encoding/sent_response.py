"""What a reader of a response's stream has received, and what a later attempt may add to it. Pure.

An event that was sent cannot be withdrawn. When an attempt ends without an answer, the next attempt often repeats what
was already sent. The repetition is filtered out, and the rest continues the same items, under the ids that were sent.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from openai_format import response_events
from openai_format.response_events import part_position
from openai_format.types import EventObject, Item, JsonObject, Part

CLIENT_RUN_TYPES: Final = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
    | {"mcp_approval_request"}
)  # items that make the client act
# Fields that two attempts with the same output need not have in common.
_UNCOMPARED: Final = frozenset({"id", "item_id", "encrypted_content", "logprobs", "status", "obfuscation"})
_TEXTS: Final = {"output_text": "text", "refusal": "refusal"}  # kinds of a message's part, and the name of its text
_CALL_TEXTS: Final = {"function_call": "arguments", "custom_tool_call": "input"}


class OutputDiffers(Exception):  # an outcome
    """The attempt contradicts what was sent."""


@dataclass
class _Unit:
    """One event without ids, or a run of deltas of one text."""

    key: str
    pieces: list[str] = field(default_factory=list)
    text: str = ""  # the pieces joined, when the next attempt starts


@dataclass
class _SentItem:
    item: Item  # as it was opened, or finished
    is_open: bool = True
    open_parts: set[int] = field(default_factory=set)
    texts: dict[tuple[str, int], list[str]] = field(default_factory=dict)  # by kind and content index

    def text(self, kind: str, number: int = 0) -> str:
        return "".join(self.texts.get((kind, number), ()))

    def text_of_kind(self, kind: str) -> str:
        return "".join("".join(pieces) for (name, _), pieces in sorted(self.texts.items()) if name == kind)


class SentResponse:
    """The events that were sent, from the first attempt on."""

    def __init__(self) -> None:
        self._units: list[_Unit] = []
        self._items: list[_SentItem] = []
        self._position = 0  # the unit that the attempt repeats
        self._chars = 0  # of that unit's text that were repeated
        self._earlier_units = 0  # units of earlier attempts

    def restart(self) -> None:
        """A new attempt begins."""
        self._position = self._chars = 0
        self._earlier_units = len(self._units)
        for unit in self._units:
            unit.text = "".join(unit.pieces)
            unit.pieces = [unit.text] if unit.text else []

    @property
    def is_caught_up(self) -> bool:
        """True if the attempt has repeated everything that was sent."""
        if self._position != self._earlier_units - 1:
            return self._position >= self._earlier_units
        return 0 < len(self._units[self._position].text) <= self._chars

    def send(self, event: EventObject) -> EventObject | None:
        """The event under the ids that were sent, without a text that was sent; None if nothing is left.

        Raises OutputDiffers.
        """
        event = self._with_sent_ids(event)
        new = self._new_text(event) if isinstance(event.get("delta"), str) else self._new_event(event)
        if new is not None:
            self._add(new)
        return new

    def close_open_items(self) -> Iterator[EventObject]:
        """Close the items that no attempt has finished. They are incomplete."""
        for index, sent in enumerate(self._items):
            if sent.is_open:
                parts = [_part(kind, sent.text(kind, number)) for kind, number in sorted(sent.texts, key=_by_number)]
                content = {"content": [part for part in parts if part]} if sent.item["type"] == "message" else {}
                yield self._closed(response_events.item_done(index, {**sent.item, **content, "status": "incomplete"}))

    def finish(self, output: list[JsonObject]) -> tuple[list[EventObject], list[JsonObject]]:
        """The events that complete what was sent to this output, and the output in the order and under the ids sent.

        Raises OutputDiffers if they cannot.
        """
        output = self._in_sent_order(output)
        events: list[EventObject] = []
        for index, item in enumerate(output):
            is_sent = index < len(self._items)
            events += self._rest_of(index, item) if is_sent else response_events.whole_item(item, index)
        ids = [sent.item.get("id") for sent in self._items]
        return events, [item | {"id": ids[n]} if n < len(ids) and ids[n] else item for n, item in enumerate(output)]

    def _in_sent_order(self, output: list[JsonObject]) -> list[JsonObject]:
        """The items that were sent first. The text of a chat completion, for example, is sent before its reasoning."""
        rest, ordered = list(output), []
        for sent in self._items:
            found = next((n for n, item in enumerate(rest) if item["type"] == sent.item["type"]), None)
            if found is None:
                raise OutputDiffers
            ordered.append(rest.pop(found))
        return ordered + rest

    def _new_text(self, event: EventObject) -> EventObject | None:
        key, text = _key(event), event["delta"]
        self._skip_repeated_text(key)
        if self._position == len(self._units):
            self._units.append(_Unit(key, [text]))
            return event
        unit, is_last = self._units[self._position], self._position == len(self._units) - 1
        known = unit.text[self._chars : self._chars + len(text)]
        if unit.key != key or not text.startswith(known):
            raise OutputDiffers
        self._chars += len(known)
        rest = text[len(known) :]
        if not rest:
            return None
        if not is_last:
            raise OutputDiffers
        unit.pieces.append(rest)
        return event if rest == text else {**event, "delta": rest} | ({"logprobs": []} if "logprobs" in event else {})

    def _skip_repeated_text(self, key: str | None = None) -> None:
        """Go on to the next unit after a text that is repeated completely, unless it may continue."""
        if self._position < len(self._units):
            unit = self._units[self._position]
            is_text = bool(unit.pieces)
            if is_text and unit.key != key and self._chars == len(unit.text):
                self._position, self._chars = self._position + 1, 0

    def _new_event(self, event: EventObject) -> EventObject | None:
        key = _key(event)
        self._skip_repeated_text()
        if self._position == len(self._units):
            self._units.append(_Unit(key))
            self._position += 1
            return event
        if self._units[self._position].key != key:
            raise OutputDiffers
        self._position += 1
        return None

    def _with_sent_ids(self, event: EventObject) -> EventObject:
        index = event.get("output_index")
        if index is None or index >= len(self._items):
            return event
        item_id = self._items[index].item.get("id")
        if "item_id" in event:
            return event | {"item_id": item_id}
        return event | {"item": {**event["item"], "id": item_id}} if "item" in event else event

    def _add(self, event: EventObject) -> None:
        """Update the items that were sent."""
        if event["type"] == response_events.ITEM_ADDED:
            self._items.append(_SentItem(event["item"]))
            return
        index = event.get("output_index")
        if index is None or index >= len(self._items):
            return
        sent, number = self._items[index], event.get("content_index", 0)
        match event["type"]:
            case response_events.PART_ADDED:
                sent.open_parts.add(number)
            case response_events.PART_DONE:
                sent.open_parts.discard(number)
            case response_events.ITEM_DONE:
                self._closed(event)
            case kind if isinstance(event.get("delta"), str):
                name = kind.removeprefix("response.").removesuffix(".delta")
                sent.texts.setdefault((name, number), []).append(event["delta"])

    def _closed(self, event: EventObject) -> EventObject:
        sent = self._items[event["output_index"]]
        sent.item, sent.is_open = event["item"], False
        return event

    def _rest_of(self, index: int, item: JsonObject) -> list[EventObject]:
        """The events that complete an item that was sent in part. Raises OutputDiffers."""
        sent, kind = self._items[index], item["type"]
        if sent.item["type"] != kind:
            raise OutputDiffers
        if kind in CLIENT_RUN_TYPES:
            return self._rest_of_call(sent, index, item)
        item = item | {"id": sent.item.get("id", item.get("id"))}
        events = self._rest_of_message(sent, index, item) if kind == "message" else []
        return [*events, response_events.item_done(index, item)] if sent.is_open else events

    def _rest_of_message(self, sent: _SentItem, index: int, item: JsonObject) -> list[EventObject]:
        parts = item.get("content") or []
        if not sent.is_open:
            if any(sent.text_of_kind(kind) != _text_of(parts, kind) for kind in _TEXTS):
                raise OutputDiffers
            return []
        events: list[EventObject] = []
        if any(number >= len(parts) or parts[number].get("type") != kind for kind, number in sent.texts):
            raise OutputDiffers
        for number, part in enumerate(parts):
            position = part_position(item["id"], index, number)
            text = sent.text(part.get("type", ""), number)
            if not (part.get(_TEXTS.get(part.get("type"), "")) or "").startswith(text):
                raise OutputDiffers
            if number in sent.open_parts:
                events += response_events.rest_of_part(position, part, text)
            elif not text:
                events += response_events.whole_part(position, part)
        return events

    def _rest_of_call(self, sent: _SentItem, index: int, item: JsonObject) -> list[EventObject]:
        """A call whose arguments were streamed. A call under another id is another call."""
        name = _CALL_TEXTS.get(item["type"], "")
        text = "".join("".join(pieces) for pieces in sent.texts.values())
        whole = item.get(name) or ""
        is_same = all(sent.item.get(field) == item.get(field) for field in ("call_id", "name"))
        if not is_same or not whole.startswith(text):
            raise OutputDiffers
        if not sent.is_open:
            if (sent.item.get(name) or "") != whole or (sent.texts and text != whole):
                raise OutputDiffers
            return []
        item = item | {"id": sent.item.get("id", item.get("id"))}
        if item["type"] != "function_call":
            return [response_events.item_done(index, item)]
        rest = whole[len(text) :]
        delta = [response_events.arguments_delta(item["id"], index, rest)] if rest else []
        return [*delta, *response_events.close_call(item, index)]


def _key(event: EventObject) -> str:
    """The event without ids; of a delta also without its text."""
    return json.dumps(_comparable({name: value for name, value in event.items() if name != "delta"}), sort_keys=True)


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _comparable(part) for name, part in value.items() if name not in _UNCOMPARED}
    return [_comparable(part) for part in value] if isinstance(value, list) else value


def _by_number(key: tuple[str, int]) -> int:
    return key[1]


def _part(kind: str, text: str) -> Part | None:
    return (
        {"type": kind, _TEXTS[kind]: text} | ({"annotations": []} if kind == "output_text" else {})
        if kind in _TEXTS
        else None
    )


def _text_of(parts: list[Any], kind: str) -> str:
    return "".join(part.get(_TEXTS[kind]) or "" for part in parts if part.get("type") == kind)
