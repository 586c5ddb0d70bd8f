"""What the events of a response have told so far: its items, and what they have grown to."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

TextPosition = tuple[Any, Any, Any]  # item_id, output_index, content_index

_PART_FIELDS: Final = frozenset({"output_index", "content_index", "part"})
_ITEM_FIELDS: Final = frozenset({"output_index", "item"})
_REQUIRED_FIELDS: Final = {
    "response.output_item.added": _ITEM_FIELDS,
    "response.output_item.done": _ITEM_FIELDS,
    "response.content_part.added": _PART_FIELDS,
    "response.content_part.done": _PART_FIELDS,
    "response.output_text.done": frozenset({"output_index", "content_index"}),
}
_REASONING_DELTAS: Final = {  # what a thought grows by: in which of its lists, by which number, as what
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text"),
}


def is_valid_event(event: dict[str, Any]) -> bool:
    """Whoever follows the response finds in it where it belongs, and what to put there."""
    has_required = event.keys() >= _REQUIRED_FIELDS.get(event["type"], frozenset())
    return has_required and all(is_valid(event[name]) for name, is_valid in _FIELD_CHECKS.items() if name in event)


def are_valid_items(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and isinstance(item.get("type"), str) for item in value
    )


def output_text_of(output: list[dict[str, Any]]) -> str:
    """What the messages of a whole response say, as far as it makes sense."""
    contents = [item.get("content") for item in output if item["type"] == "message"]
    parts = [part for content in contents if isinstance(content, list) for part in content if _is_part(part)]
    return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")


def _is_number(value: Any) -> bool:
    return isinstance(value, int)


def _is_item(value: Any) -> bool:
    content = value.get("content") if isinstance(value, dict) else None
    return (
        are_valid_items([value]) and isinstance(value.get("id"), str) and (not content or all(map(_is_part, content)))
    )


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text") or "", str)


_FIELD_CHECKS: Final[dict[str, Callable[[Any], bool]]] = {
    "output_index": _is_number,
    "content_index": _is_number,
    "summary_index": _is_number,
    "item": _is_item,
    "part": _is_part,
}


class ResponseAccumulator:
    """Of one response. A text that has grown is left out where a later event repeats it: the log has it already."""

    def __init__(self) -> None:
        self._items: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._texts: dict[tuple[Any, Any], list[str]] = defaultdict(list)
        self._arguments: dict[int, list[str]] = defaultdict(list)
        self._reasoning: dict[tuple[int, str, int, str], list[str]] = defaultdict(list)

    def add_text(self, position: TextPosition, text: str) -> None:
        self._texts[position[1:]].append(text)

    def add_delta(self, event: dict[str, Any], delta: str) -> None:
        index = event.get("output_index", 0)
        if event["type"] == "response.function_call_arguments.delta":
            self._arguments[index].append(delta)
        elif event["type"] in _REASONING_DELTAS:
            list_name, number, kind = _REASONING_DELTAS[event["type"]]
            self._reasoning[index, list_name, event.get(number, 0), kind].append(delta)

    def without_known_text(self, event: dict[str, Any]) -> dict[str, Any]:
        """Any other event as it goes into the log."""
        index = event.get("output_index", 0)
        match event["type"]:
            case "response.output_item.added":
                self._items[index] = event["item"]
                self._open.add(index)
            case "response.output_item.done":
                self._items[index] = event["item"]
                self._open.discard(index)
                return event | {"item": self._strip_item_text(event["item"], index)}
            case "response.output_text.done":
                return self._strip_text(event, index, event["content_index"])
            case "response.content_part.done":
                return event | {"part": self._strip_text(event["part"], index, event["content_index"])}
        return event

    def output(self) -> list[dict[str, Any]]:
        """The items so far; of those that are open, what there is of them."""
        return [
            self._incomplete_item(item, index) if index in self._open else item
            for index, item in sorted(self._items.items())
        ]

    def _incomplete_item(self, item: dict[str, Any], index: int) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if item["type"] == "message":
            texts = sorted(
                (position, "".join(parts)) for position, parts in self._texts.items() if position[0] == index
            )
            empty = {"type": "output_text", "annotations": [], "logprobs": []}
            fields = {"content": [empty | {"text": text} for _, text in texts]}
        elif item["type"] == "function_call":
            fields = {"arguments": "".join(self._arguments[index])}
        elif item["type"] == "reasoning":
            fields = self._reasoning_fields(index)
        return item | fields | {"status": "incomplete"}

    def _reasoning_fields(self, index: int) -> dict[str, Any]:
        """Some providers tell it, some sum it up, some do both."""
        fields: dict[str, Any] = defaultdict(list)
        for (position, list_name, _, kind), parts in sorted(self._reasoning.items()):
            if position == index:
                fields[list_name].append({"type": kind, "text": "".join(parts)})
        return fields

    def _strip_item_text(self, item: dict[str, Any], index: int) -> dict[str, Any]:
        if not isinstance(item.get("content"), list):
            return item
        return item | {"content": [self._strip_text(part, index, i) for i, part in enumerate(item["content"])]}

    def _strip_text(self, part: dict[str, Any], index: int, content_index: int) -> dict[str, Any]:
        known = self._texts.get((index, content_index))
        if known is None or part.get("text") != "".join(known):
            return part
        return {name: value for name, value in part.items() if name != "text"}
