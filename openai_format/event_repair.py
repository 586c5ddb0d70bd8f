"""Completes the events of a response's stream in which a provider has left out positions, ids or whole events.

Output indexes, content indexes and ids are hints: where one is absent, unknown or contradicts the others, the order of
the events decides. The repaired events number the items in the order in which they opened, and every text has an item
and a part around it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from openai_format import response_events
from openai_format.function_calls import NO_ARGUMENTS, arguments_text
from openai_format.items import is_valid_item, is_valid_part, new_id, output_text_part, refusal_part
from openai_format.response_events import part_position
from openai_format.text import read_text
from openai_format.types import EventObject, Item, JsonObject

_PREFIX: Final = "response."
_ITEM_TYPES: Final = {  # by the beginning of the event's type
    "output_text": "message",
    "content_part": "message",
    "refusal": "message",
    "reasoning": "reasoning",
    "function_call": "function_call",
    "custom_tool_call": "custom_tool_call",
}
_EMPTY_PARTS: Final = {"output_text": output_text_part(""), "refusal": refusal_part("")}
_ID_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}
_INDEXES: Final = ("output_index", "content_index", "summary_index", "annotation_index")


@dataclass
class _KnownItem:
    item_id: str
    kind: str
    is_open: bool = True
    open_parts: list[int] = field(default_factory=list)
    parts: int = 0
    arguments: list[str] = field(default_factory=list)  # that were streamed


class EventRepair:
    """For the events of one stream, in order. An event that cannot be repaired is left out."""

    def __init__(self) -> None:
        self._items: list[_KnownItem] = []
        self._by_id: dict[str, int] = {}
        self._by_index: dict[int, int] = {}  # the provider's output indexes

    def repair(self, event: EventObject) -> list[EventObject]:
        """The event, after those that should have come before it."""
        event = _without_odd_indexes(event)
        kind = event["type"]
        if kind == response_events.ITEM_ADDED:
            return self._add_item(event)
        if kind == response_events.ITEM_DONE:
            return self._finish_item(event)
        if not kind.startswith(_PREFIX):
            return []  # such as a keep-alive
        item_type = _item_type(kind)
        if item_type is None and "output_index" not in event and "item_id" not in event:
            return [event]
        return self._place(event, item_type)

    def _add_item(self, event: EventObject) -> list[EventObject]:
        item = event.get("item")
        if not (isinstance(item, dict) and is_valid_item(item) and _has_valid_content(item)):
            return []
        if self._find(event, item.get("id"), item["type"], must_be_named=True) is not None:
            return []  # a repetition
        return [self._open(item, event)]

    def _open(self, item: JsonObject, event: EventObject) -> EventObject:
        item_id = item.get("id") if isinstance(item.get("id"), str) else None
        own_id = item_id or _generated_id(item["type"])
        index = len(self._items)
        self._items.append(_KnownItem(own_id, item["type"]))
        self._by_id[own_id] = index
        if "output_index" in event:
            self._by_index[event["output_index"]] = index
        item = _with_call_text(item | {"id": own_id}, "")
        return event | {"type": response_events.ITEM_ADDED, "output_index": index, "item": item}

    def _finish_item(self, event: EventObject) -> list[EventObject]:
        item = event.get("item")
        if not (isinstance(item, dict) and is_valid_item(item) and _has_valid_content(item)):
            return []
        index = self._find(event, item.get("id"), item["type"])
        is_new = index is None
        if index is None:
            self._open(item, event)
            index = len(self._items) - 1
        known = self._items[index]
        if not (is_new or known.is_open):
            return []  # a repetition
        known.is_open = False
        item = _with_call_text(item | {"id": known.item_id}, NO_ARGUMENTS)
        if is_new:
            return response_events.whole_item(item, index)
        done = event | {"output_index": index, "item": item}
        return [*_missing_arguments(known, index, item.get("arguments")), done]

    def _place(self, event: EventObject, item_type: str | None) -> list[EventObject]:
        """An event of an item that is not about the whole item."""
        opened: list[EventObject] = []
        index = self._find(event, event.get("item_id"), item_type)
        if index is None:
            if item_type not in ("message", "reasoning"):
                return []  # a call without a name is no call
            opened = [self._open(_empty_item(item_type), {})]
            index = len(self._items) - 1
        known = self._items[index]
        event = event | {"output_index": index, "item_id": known.item_id}
        if event["type"] == response_events.ARGUMENTS_DELTA:
            known.arguments.append(read_text(event.get("delta")) or "")
        if event["type"] == response_events.ARGUMENTS_DONE:
            arguments = arguments_text(event.get("arguments")) or NO_ARGUMENTS
            return [*_missing_arguments(known, index, arguments), event | {"arguments": arguments}]
        if item_type != "message":
            return [*opened, event]
        return [*opened, *self._place_part(event, known)]

    def _place_part(self, event: EventObject, known: _KnownItem) -> list[EventObject]:
        """An event of a message's part. Its part is opened before it, unless it was opened."""
        kind, position = event["type"], event.get("content_index")
        if kind == response_events.PART_ADDED:
            if not is_valid_part(event.get("part")) or position in known.open_parts:
                return []
            return [event | {"content_index": self._open_part(known, position)}]
        if kind == response_events.PART_DONE and not is_valid_part(event.get("part")):
            return []
        if position is None or (position not in known.open_parts and len(known.open_parts) == 1):
            position = known.open_parts[-1] if known.open_parts else None if known.parts == 0 else known.parts - 1
        opened: list[EventObject] = []
        is_text = kind.endswith(".delta")
        if is_text and position not in known.open_parts:
            position = self._open_part(known, None)
            part_kind = kind.removeprefix(_PREFIX).partition(".")[0]
            place = part_position(known.item_id, event["output_index"], position)
            opened = [response_events.part_added(place, _EMPTY_PARTS.get(part_kind, output_text_part("")))]
        if position is None:
            return []
        if kind == response_events.PART_DONE and position in known.open_parts:
            known.open_parts.remove(position)
        return [*opened, event | {"content_index": position}]

    def _open_part(self, known: _KnownItem, position: int | None) -> int:
        number = known.parts if position is None or position > known.parts else position
        known.open_parts.append(number)
        known.parts = max(known.parts, number + 1)
        return number

    def _find(
        self, event: EventObject, item_id: Any, item_type: str | None, *, must_be_named: bool = False
    ) -> int | None:
        """The item that the event belongs to: by its id, else by its index, else the latest of that type."""
        by_id = self._by_id.get(item_id) if isinstance(item_id, str) else None
        if by_id is not None and item_type in (None, self._items[by_id].kind):
            return by_id
        if must_be_named:
            return None
        by_index = self._by_index.get(event.get("output_index", -1))
        if by_index is not None and item_type in (None, self._items[by_index].kind):
            return by_index
        same_type = [n for n, known in enumerate(self._items) if known.kind == item_type and known.is_open]
        return same_type[-1] if same_type else None


def _missing_arguments(known: _KnownItem, index: int, arguments: str | None) -> list[EventObject]:
    """The delta of arguments that a provider has sent in its last events only."""
    streamed = "".join(known.arguments)
    if known.kind != "function_call" or not arguments or not arguments.startswith(streamed) or arguments == streamed:
        return []
    known.arguments = [arguments]
    return [response_events.arguments_delta(known.item_id, index, arguments[len(streamed) :])]


def repaired_items(output: list[JsonObject], streamed: list[Item]) -> list[JsonObject]:
    """The items of a final response, in the order and under the ids with which they were streamed."""
    order = {item["id"]: number for number, item in enumerate(streamed)}
    if order.keys() <= {item.get("id") for item in output}:
        output = sorted(output, key=lambda item: order.get(item.get("id"), len(order)))  # a stable sort
    repaired = []
    for number, item in enumerate(output):
        own_id = item.get("id") if isinstance(item.get("id"), str) else None
        item_id = streamed[number]["id"] if number < len(streamed) else own_id or _generated_id(item["type"])
        repaired.append(_with_call_text(_with_valid_content(item) | {"id": item_id}, NO_ARGUMENTS))
    return repaired


def _generated_id(item_type: str) -> str:
    return new_id(_ID_PREFIXES.get(item_type, "item"))


def _without_odd_indexes(event: EventObject) -> EventObject:
    """Without the indexes that are not numbers, such as null. A number in a text is a number."""
    if all(isinstance(event.get(name, 0), int) for name in _INDEXES):
        return event
    numbers = {name: int(value) for name in _INDEXES if (value := str(event.get(name))).isdecimal()}
    return {name: value for name, value in event.items() if name not in _INDEXES} | numbers


def _item_type(kind: str) -> str | None:
    """The type of item that an event is about, from the event's type; None if that does not name it."""
    name = kind.removeprefix(_PREFIX).partition(".")[0]
    return next((item for prefix, item in _ITEM_TYPES.items() if name.startswith(prefix)), None)


def _with_valid_content(item: JsonObject) -> JsonObject:
    """A message without the parts that cannot be read."""
    if item["type"] != "message":
        return item
    content = item.get("content")
    return item | {"content": [part for part in content if is_valid_part(part)] if isinstance(content, list) else []}


def _has_valid_content(item: JsonObject) -> bool:
    content = item.get("content")
    return not content or (isinstance(content, list) and all(map(is_valid_part, content)))


def _empty_item(item_type: str) -> JsonObject:
    fields = {"role": "assistant", "content": []} if item_type == "message" else {"summary": []}
    return {"type": item_type, "status": "in_progress", **fields}


def _with_call_text(item: JsonObject, default: str) -> JsonObject:
    """The item; the arguments of a call are a text."""
    name = response_events.CALL_TEXTS.get(item["type"])
    if name is None:
        return item
    default = default if name == "arguments" else ""
    return item | {name: arguments_text(item.get(name)) or default}
