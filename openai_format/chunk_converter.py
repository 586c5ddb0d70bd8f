"""Converts the chunks of a chat completion to the events and items of a response.

An item is closed before the next one opens, unless it may still grow: a function call may grow until its arguments
are complete, because some providers send several calls in parallel.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Protocol

from openai_format import response_events
from openai_format.call_item import CallItem
from openai_format.function_calls import call_index
from openai_format.items import new_id, part_of, text_item
from openai_format.messages import reasoning_of
from openai_format.text import SurrogateJoiner, TextBudget, read_content, read_text, spoken_text
from openai_format.tools import FunctionNames
from openai_format.types import EventObject, Item, ItemStatus, JsonObject, TextKind


class OutputItem(Protocol):
    """An item that grows. ``output_index`` is set before it opens."""

    output_index: int
    status: ItemStatus

    @property
    def is_complete(self) -> bool:
        """Whether the item may be closed when the next one opens."""
        ...

    def open(self) -> Iterator[EventObject]: ...
    def close(self) -> Iterator[EventObject]: ...
    def item(self) -> Item: ...


class TextItem:
    """A run of text of one kind, as an item with one part."""

    is_complete = True

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self.text = ""
        self.output_index = -1
        self.status: ItemStatus = "in_progress"
        self._logprobs: list[Any] = []
        self._id = new_id("rs" if kind == "reasoning_text" else "msg")

    def append(self, text: str, logprobs: list[Any]) -> EventObject:
        self.text += text
        self._logprobs += logprobs
        return response_events.text_delta(
            self.kind, response_events.part_position(self._id, self.output_index), text, logprobs
        )

    def open(self) -> Iterator[EventObject]:
        yield from response_events.open_text(self.kind, self.item(), self.output_index)

    def close(self) -> Iterator[EventObject]:
        yield from response_events.close_text(self.kind, self.item(), self.output_index, self.text, self._logprobs)

    def item(self) -> Item:
        parts = () if self.status == "in_progress" else (part_of(self.kind, self.text, self._logprobs),)
        return text_item(self.kind, self._id, parts, self.status)


class PlainTextItem(TextItem):
    """The first output text. Its deltas have no position, and no events open or close it."""

    def append(self, text: str, logprobs: list[Any]) -> EventObject:
        del logprobs  # the first chunk had none, so later ones are dropped
        self.text += text
        return {"type": response_events.TEXT_DELTA, "delta": text}

    def open(self) -> Iterator[EventObject]:
        yield from ()

    def close(self) -> Iterator[EventObject]:
        yield from ()

    def item(self) -> Item:
        return {"type": "message", "text": self.text}


class ChunkConverter:
    """Converts one stream. The events must be consumed in order; text beyond the budget is cut off.

    The first output text, unless it has log-probabilities, is converted to bare deltas ``{type, delta}``, and its item
    to a message without id. The API creates the message around them when it encodes the response, as for any answer
    that is plain text.

    ``names``: of the request's tools, which decide what a call of a function is shown as.
    """

    def __init__(self, budget: TextBudget, names: FunctionNames | None = None) -> None:
        self._budget = budget
        self._names = names or FunctionNames()
        self._joiners: dict[TextKind, SurrogateJoiner] = defaultdict(SurrogateJoiner)
        self._items: list[OutputItem] = []
        self._open: list[OutputItem] = []
        self._calls: list[CallItem] = []

    def convert(self, choice: JsonObject) -> Iterator[EventObject]:
        """The events for a chunk's choice. Reasoning comes before the text that it led to."""
        delta = choice.get("delta") or {}
        logprobs = choice.get("logprobs")
        logprobs = logprobs.get("content") or [] if logprobs else []
        if reasoning := reasoning_of(delta):
            yield from self._add_text("reasoning_text", self._joiners["reasoning_text"].join(reasoning), logprobs)
        if text := read_content(delta.get("content")) or spoken_text(delta):
            yield from self._add_text("output_text", self._joiners["output_text"].join(text), logprobs)
        if refusal := read_text(delta.get("refusal")):
            yield from self._add_text("refusal", self._joiners["refusal"].join(refusal), logprobs)
        for fragment in delta.get("tool_calls") or ():
            yield from self._add_fragment(fragment)
        if function := delta.get("function_call"):  # the older form of a call, without index and id
            yield from self._add_fragment({"index": 0, "function": function})

    def flush(self) -> Iterator[EventObject]:
        """The rest of each text that ended with half a surrogate pair."""
        for kind, joiner in list(self._joiners.items()):
            yield from self._add_text(kind, joiner.flush(), [])

    def finish(self, status: ItemStatus) -> Iterator[EventObject]:
        """Open items end with the given status. A call whose name never arrived is opened and closed as well."""
        for call in self._calls:
            if call not in self._items:
                yield from self._open_item(call)
        yield from self._close_items(list(self._open), status)

    def output(self) -> list[Item]:
        """The items of the finished response. If there is only one text, its message item omits the text."""
        if len(self._texts()) > 1:
            return [item.item() for item in self._items]
        return [{"type": "message"} if isinstance(item, PlainTextItem) else item.item() for item in self._items]

    def _add_text(self, kind: TextKind, text: str, logprobs: list[Any]) -> Iterator[EventObject]:
        text = self._budget.take(text)
        if not text:
            return
        text_run = next((item for item in self._open if isinstance(item, TextItem) and item.kind == kind), None)
        if text_run is None:
            is_plain = kind == "output_text" and not (logprobs or self._texts())
            text_run = PlainTextItem(kind) if is_plain else TextItem(kind)
            yield from self._open_item(text_run)
        yield text_run.append(text, logprobs)

    def _add_fragment(self, fragment: JsonObject) -> Iterator[EventObject]:
        """Arguments that arrive after their call was closed as complete are ignored."""
        number = call_index(fragment, [call.identity for call in self._calls])
        if number == len(self._calls):
            self._calls.append(CallItem(self._budget, self._names))
        call = self._calls[number]
        if call.status != "in_progress":
            return
        arguments = call.add_fragment(fragment)
        if call in self._open:
            yield from call.delta(arguments)
        elif call.name:
            yield from self._open_item(call)

    def _texts(self) -> list[OutputItem]:
        return [item for item in self._items if isinstance(item, TextItem) and item.kind == "output_text"]

    def _open_item(self, item: OutputItem) -> Iterator[EventObject]:
        yield from self._close_items([item for item in self._open if item.is_complete], "completed")
        item.output_index = len(self._items)
        self._items.append(item)
        self._open.append(item)
        yield from item.open()

    def _close_items(self, ended: list[OutputItem], status: ItemStatus) -> Iterator[EventObject]:
        for item in ended:
            self._open.remove(item)
            item.status = status
            yield from item.close()
