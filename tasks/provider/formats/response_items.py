"""The items of a response as they come in, told by its events: each is opened, grows, and is closed.

An item is closed before the next one opens, unless it may still grow: a call may as long as its arguments are not
whole, for some providers send several calls at once.
"""

import uuid
from collections.abc import Iterator
from typing import Any, Final, Literal, Protocol, TypeAlias

from tasks.provider.formats.delta import Delta, SurrogateJoiner, read_text
from tasks.provider.formats.function_calls import call_index, is_complete
from tasks.provider.limits import SizeBudget

TextKind: TypeAlias = Literal["output_text", "refusal", "reasoning_text"]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]

_MESSAGE: Final = {"type": "message", "role": "assistant"}
_REASONING: Final[dict[str, Any]] = {"type": "reasoning", "summary": []}


class OutputItem(Protocol):
    output_index: int
    status: Status

    @property
    def is_complete(self) -> bool:
        """It may end here."""
        ...

    def opening_deltas(self) -> Iterator[Delta]: ...
    def closing_deltas(self) -> Iterator[Delta]: ...
    def item(self) -> dict[str, Any]: ...


class TextItem:
    """Text that comes in one go, as an item with one part: a text, a refusal, or a thought."""

    is_complete = True

    def __init__(self, kind: TextKind) -> None:
        self.kind = kind
        self.text = ""
        self.output_index = -1
        self.status: Status = "in_progress"
        self._logprobs: list[Any] = []
        self._id = _new_id("rs" if kind == "reasoning_text" else "msg")
        self._text_name = "refusal" if kind == "refusal" else "text"

    def append(self, text: str, logprobs: list[Any]) -> Delta:
        self.text += text
        self._logprobs += logprobs
        if self.kind != "output_text":
            return Delta(data_delta=text, data=self._event(f"{self.kind}.delta"))
        return Delta(text=text, data=self._event("output_text.delta", logprobs=logprobs) if logprobs else None)

    def opening_deltas(self) -> Iterator[Delta]:
        yield _item_event("added", self.output_index, self.item())
        yield Delta(data=self._event("content_part.added", part=self._part("")))

    def closing_deltas(self) -> Iterator[Delta]:
        fields: dict[str, Any] = {self._text_name: self.text}
        if self.kind == "output_text":
            fields["logprobs"] = self._logprobs
        yield Delta(data=self._event(f"{self.kind}.done", **fields))
        yield Delta(data=self._event("content_part.done", part=self._part(self.text)))
        yield _item_event("done", self.output_index, self.item())

    def item(self) -> dict[str, Any]:
        content = [] if self.status == "in_progress" else [self._part(self.text)]
        head = _REASONING if self.kind == "reasoning_text" else _MESSAGE
        return {"id": self._id, **head, "status": self.status, "content": content}

    def _part(self, text: str) -> dict[str, Any]:
        extra_fields = (
            {"annotations": [], "logprobs": self._logprobs if text else []} if self.kind == "output_text" else {}
        )
        return {"type": self.kind, self._text_name: text, **extra_fields}

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        position = {"item_id": self._id, "output_index": self.output_index, "content_index": 0}
        return {"type": f"response.{kind}", **position, **fields}


class PlainTextItem(TextItem):
    """The first text: told as text alone, for who serves the response opens and closes the message around it."""

    def opening_deltas(self) -> Iterator[Delta]:
        yield from ()

    def closing_deltas(self) -> Iterator[Delta]:
        yield from ()

    def item(self) -> dict[str, Any]:
        return {"type": "message", "text": self.text}


class FunctionCallItem:
    """A call of a function. It opens once its name is known."""

    def __init__(self, budget: SizeBudget) -> None:
        self.name = ""
        self.arguments = ""
        self.output_index = -1
        self.status: Status = "in_progress"
        self._budget = budget
        self._joiner = SurrogateJoiner()
        self._id = _new_id("fc")
        self._index: Any = None
        self._call_id = ""

    @property
    def identity(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": self.arguments}
        return {"index": self._index, "id": self._call_id, "function": function}

    @property
    def is_complete(self) -> bool:
        return is_complete(self.arguments)

    def add_fragment(self, fragment: dict[str, Any]) -> str:
        """Take what came; answers by how much the arguments have grown."""
        function = fragment.get("function") or {}
        self._index = fragment.get("index") if self._index is None else self._index
        self._call_id = self._call_id or read_text(fragment.get("id")) or ""
        self.name = self.name or read_text(function.get("name")) or ""
        arguments = self._budget.take(self._joiner.join(read_text(function.get("arguments")) or ""))
        self.arguments += arguments
        return arguments

    def arguments_delta(self, arguments: str) -> Delta:
        return Delta(data_delta=arguments, data=self._event("delta"))

    def opening_deltas(self) -> Iterator[Delta]:
        yield _item_event("added", self.output_index, self.item())
        if self.arguments:
            yield self.arguments_delta(self.arguments)

    def closing_deltas(self) -> Iterator[Delta]:
        yield Delta(data=self._event("done", name=self.name, arguments=self.arguments))
        yield _item_event("done", self.output_index, self.item())

    def item(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "function_call",
            "status": self.status,
            "call_id": self._call_id or self._id,
            "name": self.name,
            "arguments": "" if self.status == "in_progress" else self.arguments,
        }

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        position = {"item_id": self._id, "output_index": self.output_index}
        return {"type": f"response.function_call_arguments.{kind}", **position, **fields}


class Output:
    """All items of one response. What it tells has to be told in order."""

    def __init__(self, budget: SizeBudget) -> None:
        self._budget = budget
        self._items: list[OutputItem] = []
        self._open: list[OutputItem] = []
        self._calls: list[FunctionCallItem] = []

    def add_text(self, kind: TextKind, text: str, logprobs: list[Any]) -> Iterator[Delta]:
        text_item = next((item for item in self._open if isinstance(item, TextItem) and item.kind == kind), None)
        if text_item is None:
            is_plain = kind == "output_text" and not (logprobs or self._texts())
            text_item = PlainTextItem(kind) if is_plain else TextItem(kind)
            yield from self._open_item(text_item)
        yield text_item.append(text, [] if isinstance(text_item, PlainTextItem) else logprobs)

    def call(self, fragment: dict[str, Any]) -> Iterator[Delta]:
        """Arguments that go on after they were whole, and told so, are passed over: the call stays as it was told."""
        number = call_index(fragment, [call.identity for call in self._calls])
        if number == len(self._calls):
            self._calls.append(FunctionCallItem(self._budget))
        call = self._calls[number]
        if call.status != "in_progress":
            return
        arguments = call.add_fragment(fragment)
        if call in self._open:
            if arguments:
                yield call.arguments_delta(arguments)
        elif call.name:
            yield from self._open_item(call)

    def finish(self, status: Status) -> Iterator[Delta]:
        """The status is that of what is open; a call that never got a name is told too."""
        for call in self._calls:
            if call not in self._items:
                yield from self._open_item(call)
        yield from self._close_items(list(self._open), status)

    def items(self) -> list[dict[str, Any]]:
        """As they are to stay. A text that is the only one stands beside them."""
        if len(self._texts()) > 1:
            return [item.item() for item in self._items]
        return [{"type": "message"} if isinstance(item, PlainTextItem) else item.item() for item in self._items]

    def _texts(self) -> list[OutputItem]:
        return [item for item in self._items if isinstance(item, TextItem) and item.kind == "output_text"]

    def _open_item(self, item: OutputItem) -> Iterator[Delta]:
        yield from self._close_items([item for item in self._open if item.is_complete], "completed")
        item.output_index = len(self._items)
        self._items.append(item)
        self._open.append(item)
        yield from item.opening_deltas()

    def _close_items(self, ended: list[OutputItem], status: Status) -> Iterator[Delta]:
        for item in ended:
            self._open.remove(item)
            item.status = status
            yield from item.closing_deltas()


def _item_event(what: str, output_index: int, item: dict[str, Any]) -> Delta:
    return Delta(data={"type": f"response.output_item.{what}", "output_index": output_index, "item": item})


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
