"""The items of a response as they come in, told by its events: each is opened, grows, and is closed.

An item is closed before the next one opens, unless it may still grow: a call may as long as its arguments are not
whole, for some providers send several calls at once.
"""

import uuid
from collections.abc import Iterator
from typing import Any, Final, Literal, Protocol, TypeAlias

from tasks.provider.formats.delta import Halves, Piece, read_text
from tasks.provider.formats.function_calls import is_whole, number_of
from tasks.provider.limits import Room

Spoken: TypeAlias = Literal["output_text", "refusal", "reasoning_text"]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete"]

_MESSAGE: Final = {"type": "message", "role": "assistant"}
_THOUGHT: Final[dict[str, Any]] = {"type": "reasoning", "summary": []}


class Item(Protocol):
    output_index: int
    status: Status

    @property
    def is_whole(self) -> bool:
        """It may end here."""
        ...

    def opened(self) -> Iterator[Piece]: ...
    def closed(self) -> Iterator[Piece]: ...
    def item(self) -> dict[str, Any]: ...


class Stretch:
    """What is said in one go, as an item with one part: a text, a refusal, or a thought."""

    is_whole = True

    def __init__(self, kind: Spoken) -> None:
        self.kind = kind
        self.text = ""
        self.output_index = -1
        self.status: Status = "in_progress"
        self._logprobs: list[Any] = []
        self._id = _new_id("rs" if kind == "reasoning_text" else "msg")
        self._text_name = "refusal" if kind == "refusal" else "text"

    def grow(self, said: str, logprobs: list[Any]) -> Piece:
        self.text += said
        self._logprobs += logprobs
        if self.kind != "output_text":
            return Piece(delta=said, data=self._event(f"{self.kind}.delta"))
        return Piece(text=said, data=self._event("output_text.delta", logprobs=logprobs) if logprobs else None)

    def opened(self) -> Iterator[Piece]:
        yield _item_event("added", self.output_index, self.item())
        yield Piece(data=self._event("content_part.added", part=self._part("")))

    def closed(self) -> Iterator[Piece]:
        said: dict[str, Any] = {self._text_name: self.text}
        if self.kind == "output_text":
            said["logprobs"] = self._logprobs
        yield Piece(data=self._event(f"{self.kind}.done", **said))
        yield Piece(data=self._event("content_part.done", part=self._part(self.text)))
        yield _item_event("done", self.output_index, self.item())

    def item(self) -> dict[str, Any]:
        content = [] if self.status == "in_progress" else [self._part(self.text)]
        head = _THOUGHT if self.kind == "reasoning_text" else _MESSAGE
        return {"id": self._id, **head, "status": self.status, "content": content}

    def _part(self, text: str) -> dict[str, Any]:
        beside = {"annotations": [], "logprobs": self._logprobs if text else []} if self.kind == "output_text" else {}
        return {"type": self.kind, self._text_name: text, **beside}

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        place = {"item_id": self._id, "output_index": self.output_index, "content_index": 0}
        return {"type": f"response.{kind}", **place, **fields}


class PlainText(Stretch):
    """The first text: told as text alone, for who serves the response opens and closes the message around it."""

    def opened(self) -> Iterator[Piece]:
        yield from ()

    def closed(self) -> Iterator[Piece]:
        yield from ()

    def item(self) -> dict[str, Any]:
        return {"type": "message", "text": self.text}


class FunctionCall:
    """A call of a function. It opens once its name is known."""

    def __init__(self, room: Room) -> None:
        self.name = ""
        self.arguments = ""
        self.output_index = -1
        self.status: Status = "in_progress"
        self._room = room
        self._halves = Halves()
        self._id = _new_id("fc")
        self._index: Any = None
        self._call_id = ""

    @property
    def known_by(self) -> dict[str, Any]:
        function = {"name": self.name, "arguments": self.arguments}
        return {"index": self._index, "id": self._call_id, "function": function}

    @property
    def is_whole(self) -> bool:
        return is_whole(self.arguments)

    def hear(self, said: dict[str, Any]) -> str:
        """Take what came; answers by how much the arguments have grown."""
        function = said.get("function") or {}
        self._index = said.get("index") if self._index is None else self._index
        self._call_id = self._call_id or read_text(said.get("id")) or ""
        self.name = self.name or read_text(function.get("name")) or ""
        arguments = self._room.take(self._halves.join(read_text(function.get("arguments")) or ""))
        self.arguments += arguments
        return arguments

    def grown(self, arguments: str) -> Piece:
        return Piece(delta=arguments, data=self._event("delta"))

    def opened(self) -> Iterator[Piece]:
        yield _item_event("added", self.output_index, self.item())
        if self.arguments:
            yield self.grown(self.arguments)

    def closed(self) -> Iterator[Piece]:
        yield Piece(data=self._event("done", name=self.name, arguments=self.arguments))
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
        place = {"item_id": self._id, "output_index": self.output_index}
        return {"type": f"response.function_call_arguments.{kind}", **place, **fields}


class Output:
    """All items of one response. What it tells has to be told in order."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._items: list[Item] = []
        self._open: list[Item] = []
        self._calls: list[FunctionCall] = []

    def say(self, kind: Spoken, text: str, logprobs: list[Any]) -> Iterator[Piece]:
        stretch = next((one for one in self._open if isinstance(one, Stretch) and one.kind == kind), None)
        if stretch is None:
            is_plain = kind == "output_text" and not (logprobs or self._texts())
            stretch = PlainText(kind) if is_plain else Stretch(kind)
            yield from self._begin(stretch)
        yield stretch.grow(text, [] if isinstance(stretch, PlainText) else logprobs)

    def call(self, said: dict[str, Any]) -> Iterator[Piece]:
        """Arguments that go on after they were whole, and told so, are passed over: the call stays as it was told."""
        number = number_of(said, [call.known_by for call in self._calls])
        if number == len(self._calls):
            self._calls.append(FunctionCall(self._room))
        call = self._calls[number]
        if call.status != "in_progress":
            return
        arguments = call.hear(said)
        if call in self._open:
            if arguments:
                yield call.grown(arguments)
        elif call.name:
            yield from self._begin(call)

    def end(self, status: Status) -> Iterator[Piece]:
        """The status is that of what is open; a call that never got a name is told too."""
        for call in self._calls:
            if call not in self._items:
                yield from self._begin(call)
        yield from self._close(list(self._open), status)

    def items(self) -> list[dict[str, Any]]:
        """As they are to stay. A text that is the only one stands beside them."""
        if len(self._texts()) > 1:
            return [one.item() for one in self._items]
        return [{"type": "message"} if isinstance(one, PlainText) else one.item() for one in self._items]

    def _texts(self) -> list[Item]:
        return [one for one in self._items if isinstance(one, Stretch) and one.kind == "output_text"]

    def _begin(self, item: Item) -> Iterator[Piece]:
        yield from self._close([one for one in self._open if one.is_whole], "completed")
        item.output_index = len(self._items)
        self._items.append(item)
        self._open.append(item)
        yield from item.opened()

    def _close(self, ended: list[Item], status: Status) -> Iterator[Piece]:
        for item in ended:
            self._open.remove(item)
            item.status = status
            yield from item.closed()


def _item_event(what: str, output_index: int, item: dict[str, Any]) -> Piece:
    return Piece(data={"type": f"response.output_item.{what}", "output_index": output_index, "item": item})


def _new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"
