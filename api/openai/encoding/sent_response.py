"""What a reader of a response's stream has received, and what a later attempt may add to it. Pure.

An event that was sent cannot be withdrawn. When an attempt ends without an answer, the next attempt often repeats what
was already sent. The repetition is filtered out, and the rest continues the same items, under the ids that were sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from api.openai.encoding.replay_filter import OutputDiffers, ReplayFilter
from openai_format import response_events
from openai_format.response_events import part_position
from openai_format.types import EventObject, Item, JsonObject, Part

_CLIENT_RUN_TYPES: Final = frozenset(
    {"function_call", "custom_tool_call", "computer_call", "local_shell_call", "shell_call", "apply_patch_call"}
    | {"mcp_approval_request"}
)  # items that make the client act
_TEXTS: Final = {"output_text": "text", "refusal": "refusal"}  # kinds of a message's part, and the name of its text


def is_client_run(item: Item) -> bool:
    """Whether the item makes the client act."""
    is_client_search = item["type"] == "tool_search_call" and item.get("execution") == "client"
    return item["type"] in _CLIENT_RUN_TYPES or is_client_search


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
        self._filter = ReplayFilter()
        self._items: list[_SentItem] = []

    def restart(self) -> None:
        """A new attempt begins."""
        self._filter.restart()

    @property
    def is_caught_up(self) -> bool:
        """True if the attempt has repeated everything that was sent."""
        return self._filter.is_caught_up

    def send(self, event: EventObject) -> EventObject | None:
        """The event under the ids that were sent, without a text that was sent; None if nothing is left.

        Raises OutputDiffers.
        """
        new = self._filter.new_part(self._with_sent_ids(event))
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

    def _with_sent_ids(self, event: EventObject) -> EventObject:
        index = event.get("output_index")
        if index is None or index >= len(self._items):
            return event
        item_id = self._items[index].item.get("id")
        if "item_id" in event:
            return event if event["item_id"] == item_id else event | {"item_id": item_id}
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
        if is_client_run(item):
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
        name = response_events.CALL_TEXTS.get(item["type"], "")
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
        if not name:
            return [response_events.item_done(index, item)]
        return response_events.rest_of_call(item | {name: whole}, index, text)


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
