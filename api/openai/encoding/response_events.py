"""A job's log as the events of a response. Pure: the same log gives the same events under the same numbers.

Whoever reads them knows no attempts. So when one ends without an answer, what it had begun is closed as incomplete,
and the next one goes on at the output index after it with items of its own; the final response lists only these.
A text that nobody has opened a message for (the provider speaks chat completions) gets one.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from api.openai.encoding import items
from jobs.events import Event
from jobs.results import JobError
from jobs.states import State

EventObject = dict[str, Any]
STATES_WITHOUT_ANSWER: Final = frozenset({State.FAILED, State.CANCELLED})
_WITHOUT_LOGPROBS: Final[dict[str, Any]] = {"logprobs": []}


@dataclass
class _OpenItem:
    """An item that has been added and not yet been done."""

    item: dict[str, Any] = field(repr=False)
    output_index: int
    texts: dict[int, str] = field(default_factory=dict, repr=False)
    part: int | None = None  # index of its text part that is open; deltas without further word belong to the latest
    is_synthetic: bool = False

    def position(self, content_index: int) -> dict[str, Any]:
        return {"item_id": self.item["id"], "output_index": self.output_index, "content_index": content_index}

    def fill_texts(self, item: dict[str, Any]) -> dict[str, Any]:
        """The item with those texts filled in that the log holds as deltas alone."""
        content = item.get("content")
        if not isinstance(content, list):
            return item
        return item | {"content": [self.fill_part(part, i) for i, part in enumerate(content)]}

    def fill_part(self, part: dict[str, Any], content_index: int) -> dict[str, Any]:
        if content_index not in self.texts or "text" in part:
            return part
        return part | {"text": self.texts[content_index]}

    def as_incomplete(self) -> dict[str, Any]:
        texts = [items.text_part(text) for _, text in sorted(self.texts.items()) if text]
        content = {"content": texts} if self.item["type"] == "message" else {}
        return self.item | content | {"status": "incomplete"}


class ResponseEventBuilder:
    """Reads one log from its beginning. ``response`` makes the response object of a state before the end."""

    def __init__(self, job_id: str, response: Callable[[State], dict[str, Any]]) -> None:
        self._job_id = job_id
        self._response = response
        self._next_number = 0
        self._next_index = 0
        self._offset = 0  # output index of the running attempt's first item
        self._log_start = 0
        self._has_started = False
        self._open_items: dict[int, _OpenItem] = {}
        self._closed_items: dict[int, dict[str, Any]] = {}  # items of the latest attempt

    def start(self) -> list[EventObject]:
        """Before the log says anything."""
        queued = self._response(State.QUEUED)
        return [self._event("response.created", response=queued), self._event("response.queued", response=queued)]

    def translate(self, event: Event) -> list[EventObject]:
        """Of any event but the final one."""
        match event.type:
            case "in_progress":
                return [*self._close_open_items(), *self._start_attempt(event)]
            case "delta":
                return list(self._text_delta(event.text or "", event.data))
            case "upstream" if event.data and "type" in event.data:
                return list(self._provider_event(event.data))
            case "attempt_incomplete":
                return self._close_open_items()
        return []

    def finish(self, response: dict[str, Any]) -> list[EventObject]:
        """The last ones, with the response as it is to stay. One that ended without an answer has what was told."""
        status = response["status"]
        closed = [] if status in STATES_WITHOUT_ANSWER else list(self._close_synthetic_messages(status))
        closed += self._close_open_items()
        partial = {"output": self.output()} if status in STATES_WITHOUT_ANSWER else {}
        return [*closed, self._event(f"response.{status}", response=response | partial)]

    def output(self) -> list[dict[str, Any]]:
        """What the latest attempt has said so far: its finished items, and texts that were cut."""
        partial = self._closed_items | {
            open_item.output_index: open_item.as_incomplete() for open_item in self._open_items.values()
        }
        return [item for _, item in sorted(partial.items()) if _has_content(item)]

    def fail(self, error: JobError) -> list[EventObject]:
        """The job was deleted while it was followed, or cannot be told."""
        return [self._event("error", **error.model_dump(), param=None)]

    def _event(self, kind: str, **fields: Any) -> EventObject:
        self._next_number += 1
        return {"type": kind, "sequence_number": self._next_number - 1, **fields}

    def _start_attempt(self, event: Event) -> Iterator[EventObject]:
        self._closed_items = {}
        self._offset = self._next_index
        self._log_start = (event.sequence_number or 0) + 1
        if not self._has_started:
            self._has_started = True
            yield self._event("response.in_progress", response=self._response(State.IN_PROGRESS))

    def _text_delta(self, text: str, data: dict[str, Any] | None) -> Iterator[EventObject]:
        if data is not None and data.get("type") == "response.output_text.delta":
            yield from self._positioned_text_delta(text, data)
            return
        open_item = next((item for item in reversed(self._open_items.values()) if item.part is not None), None)
        if open_item is None:
            open_item = yield from self._open_synthetic_message()
        index = open_item.part or 0
        open_item.texts[index] = open_item.texts.get(index, "") + text
        yield self._event("response.output_text.delta", **open_item.position(index), delta=text, **_WITHOUT_LOGPROBS)

    def _positioned_text_delta(self, text: str, data: dict[str, Any]) -> Iterator[EventObject]:
        shifted_data = self._shift_output_index(data)
        open_item = self._open_items.get(shifted_data["output_index"])
        if open_item is not None:
            open_item.texts[data["content_index"]] = open_item.texts.get(data["content_index"], "") + text
        yield self._forward(shifted_data | {"delta": text, "logprobs": data.get("logprobs") or []})

    def _open_synthetic_message(self) -> Generator[EventObject, None, _OpenItem]:
        """Opens the message that a text alone belongs to; returns it."""
        item = items.message_item(items.message_id(self._job_id, self._log_start), None, "in_progress")
        open_item = _OpenItem(item, self._next_index, {0: ""}, part=0, is_synthetic=True)
        yield self._item_added(open_item)
        yield self._event("response.content_part.added", **open_item.position(0), part=items.text_part(""))
        return open_item

    def _close_synthetic_messages(self, status: str = "completed") -> Iterator[EventObject]:
        for open_item in [item for item in self._open_items.values() if item.is_synthetic]:
            del self._open_items[open_item.output_index]
            text, part = open_item.texts[0], items.text_part(open_item.texts[0])
            done = items.message_item(open_item.item["id"], text, status)
            yield self._event("response.output_text.done", **open_item.position(0), text=text, **_WITHOUT_LOGPROBS)
            yield self._event("response.content_part.done", **open_item.position(0), part=part)
            yield self._item_done(open_item.output_index, done)

    def _provider_event(self, data: dict[str, Any]) -> Iterator[EventObject]:
        shifted_data = self._shift_output_index(data)
        open_item = self._open_items.get(shifted_data.get("output_index", -1))
        match data["type"]:
            case "response.output_item.added":
                yield from self._close_synthetic_messages()
                yield self._item_added(_OpenItem(data["item"], shifted_data["output_index"]))
                return
            case "response.content_part.added" if open_item and data["part"].get("type") == "output_text":
                self._open_items[open_item.output_index] = self._open_items.pop(
                    open_item.output_index
                )  # the latest comes last
                open_item.part = data["content_index"]
                open_item.texts[open_item.part] = data["part"].get("text") or ""
            case "response.output_text.done" if open_item:
                shifted_data = open_item.fill_part(shifted_data, data["content_index"])
            case "response.content_part.done" if open_item:
                open_item.part = None
                shifted_data["part"] = open_item.fill_part(data["part"], data["content_index"])
            case "response.output_item.done" if open_item:
                del self._open_items[open_item.output_index]
                self._closed_items[open_item.output_index] = shifted_data["item"] = open_item.fill_texts(data["item"])
        yield self._forward(shifted_data)

    def _item_added(self, open_item: _OpenItem) -> EventObject:
        self._open_items[open_item.output_index] = open_item
        self._next_index = max(self._next_index, open_item.output_index + 1)
        return self._event("response.output_item.added", output_index=open_item.output_index, item=open_item.item)

    def _shift_output_index(self, data: dict[str, Any]) -> dict[str, Any]:
        if "output_index" not in data:
            return dict(data)
        return data | {"output_index": data["output_index"] + self._offset}

    def _forward(self, event: dict[str, Any]) -> EventObject:
        rest = {name: value for name, value in event.items() if name not in ("type", "sequence_number")}
        return self._event(event["type"], **rest)

    def _close_open_items(self) -> list[EventObject]:
        open_items, self._open_items = self._open_items, {}
        return [self._item_done(open_item.output_index, open_item.as_incomplete()) for open_item in open_items.values()]

    def _item_done(self, output_index: int, item: dict[str, Any]) -> EventObject:
        self._closed_items[output_index] = item
        return self._event("response.output_item.done", output_index=output_index, item=item)


def _has_content(item: dict[str, Any]) -> bool:
    """A call that was cut does not: its arguments are no arguments."""
    return item.get("status") != "incomplete" or bool(item.get("content"))
