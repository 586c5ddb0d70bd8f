"""What the events of a response have told so far: its items, and what they have grown to."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

Place = tuple[Any, Any, Any]  # item_id, output_index, content_index

_PART: Final = frozenset({"output_index", "content_index", "part"})
_ITEM: Final = frozenset({"output_index", "item"})
_NEEDED: Final = {
    "response.output_item.added": _ITEM,
    "response.output_item.done": _ITEM,
    "response.content_part.added": _PART,
    "response.content_part.done": _PART,
    "response.output_text.done": frozenset({"output_index", "content_index"}),
}
_THOUGHTS: Final = {  # what a thought grows by: in which of its lists, by which number, as what
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text"),
}


def is_sound(event: dict[str, Any]) -> bool:
    """Whoever follows the response finds in it where it belongs, and what to put there."""
    has_all = event.keys() >= _NEEDED.get(event["type"], frozenset())
    return has_all and all(is_right(event[name]) for name, is_right in _RIGHT.items() if name in event)


def are_items(said: Any) -> bool:
    return isinstance(said, list) and all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in said)


def text_in(output: list[dict[str, Any]]) -> str:
    """What the messages of a whole response say, as far as it makes sense."""
    contents = [item.get("content") for item in output if item["type"] == "message"]
    parts = [part for content in contents if isinstance(content, list) for part in content if _is_part(part)]
    return "".join(part.get("text") or "" for part in parts if part.get("type") == "output_text")


def _is_number(said: Any) -> bool:
    return isinstance(said, int)


def _is_item(said: Any) -> bool:
    content = said.get("content") if isinstance(said, dict) else None
    return are_items([said]) and isinstance(said.get("id"), str) and (not content or all(map(_is_part, content)))


def _is_part(said: Any) -> bool:
    return isinstance(said, dict) and isinstance(said.get("text") or "", str)


_RIGHT: Final[dict[str, Callable[[Any], bool]]] = {
    "output_index": _is_number,
    "content_index": _is_number,
    "summary_index": _is_number,
    "item": _is_item,
    "part": _is_part,
}


class Told:
    """Of one response. A text that has grown is left out where a later event repeats it: the log has it already."""

    def __init__(self) -> None:
        self._items: dict[int, dict[str, Any]] = {}
        self._open: set[int] = set()
        self._texts: dict[tuple[Any, Any], list[str]] = defaultdict(list)
        self._arguments: dict[int, list[str]] = defaultdict(list)
        self._thoughts: dict[tuple[int, str, int, str], list[str]] = defaultdict(list)

    def text(self, place: Place, text: str) -> None:
        self._texts[place[1:]].append(text)

    def growth(self, event: dict[str, Any], delta: str) -> None:
        index = event.get("output_index", 0)
        if event["type"] == "response.function_call_arguments.delta":
            self._arguments[index].append(delta)
        elif event["type"] in _THOUGHTS:
            where, number, kind = _THOUGHTS[event["type"]]
            self._thoughts[index, where, event.get(number, 0), kind].append(delta)

    def lean(self, event: dict[str, Any]) -> dict[str, Any]:
        """Any other event as it goes into the log."""
        index = event.get("output_index", 0)
        match event["type"]:
            case "response.output_item.added":
                self._items[index] = event["item"]
                self._open.add(index)
            case "response.output_item.done":
                self._items[index] = event["item"]
                self._open.discard(index)
                return event | {"item": self._lean_item(event["item"], index)}
            case "response.output_text.done":
                return self._lean(event, index, event["content_index"])
            case "response.content_part.done":
                return event | {"part": self._lean(event["part"], index, event["content_index"])}
        return event

    def output(self) -> list[dict[str, Any]]:
        """The items so far; of those that are open, what there is of them."""
        return [self._cut(item, index) if index in self._open else item for index, item in sorted(self._items.items())]

    def _cut(self, item: dict[str, Any], index: int) -> dict[str, Any]:
        grown: dict[str, Any] = {}
        if item["type"] == "message":
            texts = sorted((place, "".join(said)) for place, said in self._texts.items() if place[0] == index)
            empty = {"type": "output_text", "annotations": [], "logprobs": []}
            grown = {"content": [empty | {"text": text} for _, text in texts]}
        elif item["type"] == "function_call":
            grown = {"arguments": "".join(self._arguments[index])}
        elif item["type"] == "reasoning":
            grown = self._thought(index)
        return item | grown | {"status": "incomplete"}

    def _thought(self, index: int) -> dict[str, Any]:
        """Some providers tell it, some sum it up, some do both."""
        grown: dict[str, Any] = defaultdict(list)
        for (place, where, _, kind), said in sorted(self._thoughts.items()):
            if place == index:
                grown[where].append({"type": kind, "text": "".join(said)})
        return grown

    def _lean_item(self, item: dict[str, Any], index: int) -> dict[str, Any]:
        if not isinstance(item.get("content"), list):
            return item
        return item | {"content": [self._lean(part, index, i) for i, part in enumerate(item["content"])]}

    def _lean(self, part: dict[str, Any], index: int, content_index: int) -> dict[str, Any]:
        known = self._texts.get((index, content_index))
        if known is None or part.get("text") != "".join(known):
            return part
        return {name: value for name, value in part.items() if name != "text"}
