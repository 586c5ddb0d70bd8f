"""Events of a response's stream, without sequence numbers, which are assigned when a stream is written."""

from collections.abc import Iterable
from typing import Any, Final, TypedDict

from openai_format.items import part_of
from openai_format.types import EventObject, Item, Part, TextKind

TEXT_DELTA = "response.output_text.delta"
TEXT_DONE = "response.output_text.done"
ITEM_ADDED = "response.output_item.added"
ITEM_DONE = "response.output_item.done"
PART_ADDED = "response.content_part.added"
PART_DONE = "response.content_part.done"
ARGUMENTS_DELTA = "response.function_call_arguments.delta"
ARGUMENTS_DONE = "response.function_call_arguments.done"
INPUT_DELTA = "response.custom_tool_call_input.delta"
INPUT_DONE = "response.custom_tool_call_input.done"

_TEXT_NAMES: Final[dict[Any, str]] = {"output_text": "text", "refusal": "refusal"}  # of the text in a part
CALL_TEXTS: Final = {"function_call": "arguments", "custom_tool_call": "input"}  # types of call, and of their text
_EMPTY_TEXT: Final[dict[Any, Part]] = {
    "output_text": {"text": "", "annotations": [], "logprobs": []},
    "refusal": {"refusal": ""},
}


class PartPosition(TypedDict):
    """The position of a part in a response."""

    item_id: str
    output_index: int
    content_index: int


def part_position(item_id: str, output_index: int, content_index: int = 0) -> PartPosition:
    return {"item_id": item_id, "output_index": output_index, "content_index": content_index}


class EventNumbering:
    """Numbers the events of one stream from 0, without gaps."""

    def __init__(self) -> None:
        self._next = 0

    def number(self, event: EventObject) -> EventObject:
        numbered = {"type": event["type"], "sequence_number": self._next, **event}
        numbered["sequence_number"] = self._next  # a provider's event may already have a number
        self._next += 1
        return numbered


def response_event(kind: str, response: Item) -> EventObject:
    """A change of the response's status: ``created``, ``queued``, ``in_progress`` or a final status."""
    return {"type": f"response.{kind}", "response": response}


def item_added(output_index: int, item: Item) -> EventObject:
    return {"type": ITEM_ADDED, "output_index": output_index, "item": item}


def item_done(output_index: int, item: Item) -> EventObject:
    return {"type": ITEM_DONE, "output_index": output_index, "item": item}


def part_added(position: PartPosition, part: Part) -> EventObject:
    return {"type": PART_ADDED, **position, "part": part}


def part_done(position: PartPosition, part: Part) -> EventObject:
    return {"type": PART_DONE, **position, "part": part}


def output_text_delta(position: PartPosition, text: str, logprobs: Iterable[Any] = ()) -> EventObject:
    return {"type": TEXT_DELTA, **position, "delta": text, "logprobs": list(logprobs)}


def text_delta(kind: TextKind, position: PartPosition, text: str, logprobs: Iterable[Any] = ()) -> EventObject:
    if kind == "output_text":
        return output_text_delta(position, text, logprobs)
    return {"type": f"response.{kind}.delta", **position, "delta": text}


def text_done(kind: TextKind, position: PartPosition, text: str, logprobs: Iterable[Any] = ()) -> EventObject:
    event: EventObject = {"type": f"response.{kind}.done", **position}
    if kind == "output_text":
        return event | {"text": text, "logprobs": list(logprobs)}
    return event | {"refusal" if kind == "refusal" else "text": text}


def open_text(kind: TextKind, item: Item, output_index: int) -> list[EventObject]:
    """The events that open an item with one empty part."""
    return [item_added(output_index, item), part_added(part_position(item["id"], output_index), part_of(kind, ""))]


def close_text(
    kind: TextKind, item: Item, output_index: int, text: str, logprobs: Iterable[Any] = ()
) -> list[EventObject]:
    """The events that close an item and its only part. ``item`` is in its final form."""
    position = part_position(item["id"], output_index)
    logprobs = list(logprobs)
    return [
        text_done(kind, position, text, logprobs),
        part_done(position, part_of(kind, text, logprobs)),
        item_done(output_index, item),
    ]


def arguments_delta(item_id: str, output_index: int, arguments: str) -> EventObject:
    return {"type": ARGUMENTS_DELTA, "item_id": item_id, "output_index": output_index, "delta": arguments}


def input_delta(item_id: str, output_index: int, text: str) -> EventObject:
    return {"type": INPUT_DELTA, "item_id": item_id, "output_index": output_index, "delta": text}


def close_call(call: Item, output_index: int) -> list[EventObject]:
    """The events that close a call of a function or of a custom tool. ``call`` is in its final form."""
    position = {"item_id": call["id"], "output_index": output_index}
    if call["type"] == "custom_tool_call":
        done = {"type": INPUT_DONE, **position, "input": call["input"]}
    else:
        done = {"type": ARGUMENTS_DONE, **position, "name": call["name"], "arguments": call["arguments"]}
    return [done, item_done(output_index, call)]


def rest_of_call(call: Item, output_index: int, sent: str) -> list[EventObject]:
    """The events of a finished call after a beginning of its text has been sent."""
    rest = call[CALL_TEXTS[call["type"]]][len(sent) :]
    delta = input_delta if call["type"] == "custom_tool_call" else arguments_delta
    return [*([delta(call["id"], output_index, rest)] if rest else []), *close_call(call, output_index)]


def whole_item(item: Item, output_index: int) -> list[EventObject]:
    """All events of a finished item, for an item that was not streamed. Each text is one delta."""
    match item:
        case {"type": "function_call" | "custom_tool_call" as kind}:
            name = CALL_TEXTS[kind]
            opened = {**item, name: "", "status": "in_progress"}
            call = {"name": "", **item, name: item.get(name) or ""}
            return [item_added(output_index, opened), *rest_of_call(call, output_index, "")]
        case {"type": "message", "content": [*parts]}:
            opened = {**item, "content": [], "status": "in_progress"}
            events = [item_added(output_index, opened)]
            for number, part in enumerate(parts):
                events += whole_part(part_position(item["id"], output_index, number), part)
            return [*events, item_done(output_index, item)]
    return [item_added(output_index, item), item_done(output_index, item)]


def whole_part(position: PartPosition, part: Part) -> list[EventObject]:
    """All events of a finished part of a message."""
    return [part_added(position, {**part, **_EMPTY_TEXT.get(part.get("type"), {})}), *rest_of_part(position, part, "")]


def rest_of_part(position: PartPosition, part: Part, sent: str) -> list[EventObject]:
    """The events of a finished part after a beginning of its text has been sent."""
    kind: Any = part.get("type")
    if kind not in _EMPTY_TEXT:
        return [part_done(position, part)]
    text, logprobs = part.get(_TEXT_NAMES[kind]) or "", part.get("logprobs") or []
    rest = text[len(sent) :]
    delta = [text_delta(kind, position, rest, [] if sent else logprobs)] if rest else []
    return [*delta, text_done(kind, position, text, logprobs), part_done(position, part)]
