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
WITHOUT_ANSWER: Final = frozenset({State.FAILED, State.CANCELLED})
_WITHOUT_LOGPROBS: Final[dict[str, Any]] = {"logprobs": []}


@dataclass
class _Open:
    """An item that has been added and not yet been done."""

    item: dict[str, Any] = field(repr=False)
    output_index: int
    texts: dict[int, str] = field(default_factory=dict, repr=False)
    part: int | None = None  # index of its text part that is open; deltas without further word belong to the latest
    is_implied: bool = False

    def place(self, content_index: int) -> dict[str, Any]:
        return {"item_id": self.item["id"], "output_index": self.output_index, "content_index": content_index}

    def with_texts(self, item: dict[str, Any]) -> dict[str, Any]:
        """The item with those texts filled in that the log holds as deltas alone."""
        content = item.get("content")
        if not isinstance(content, list):
            return item
        return item | {"content": [self.filled(part, i) for i, part in enumerate(content)]}

    def filled(self, part: dict[str, Any], content_index: int) -> dict[str, Any]:
        if content_index not in self.texts or "text" in part:
            return part
        return part | {"text": self.texts[content_index]}

    def cut(self) -> dict[str, Any]:
        texts = [items.text_part(text) for _, text in sorted(self.texts.items()) if text]
        content = {"content": texts} if self.item["type"] == "message" else {}
        return self.item | content | {"status": "incomplete"}


class ResponseEvents:
    """Reads one log from its beginning. ``response`` makes the response object of a state before the end."""

    def __init__(self, job_id: str, response: Callable[[State], dict[str, Any]]) -> None:
        self._job_id = job_id
        self._response = response
        self._next_number = 0
        self._next_index = 0
        self._offset = 0  # output index of the running attempt's first item
        self._log_start = 0
        self._has_begun = False
        self._open: dict[int, _Open] = {}
        self._closed: dict[int, dict[str, Any]] = {}  # items of the latest attempt

    def opening(self) -> list[EventObject]:
        """Before the log says anything."""
        queued = self._response(State.QUEUED)
        return [self._say("response.created", response=queued), self._say("response.queued", response=queued)]

    def translate(self, event: Event) -> list[EventObject]:
        """Of any event but the final one."""
        match event.type:
            case "in_progress":
                return [*self._cut_short(), *self._begun(event)]
            case "delta":
                return list(self._spoken(event.text or "", event.data))
            case "upstream" if event.data and "type" in event.data:
                return list(self._upstream(event.data))
            case "attempt_incomplete":
                return self._cut_short()
        return []

    def ending(self, response: dict[str, Any]) -> list[EventObject]:
        """The last ones, with the response as it is to stay. One that ended without an answer has what was told."""
        status = response["status"]
        closed = [] if status in WITHOUT_ANSWER else list(self._closed_implied(status))
        closed += self._cut_short()
        told = {"output": self.output()} if status in WITHOUT_ANSWER else {}
        return [*closed, self._say(f"response.{status}", response=response | told)]

    def output(self) -> list[dict[str, Any]]:
        """What the latest attempt has said so far: its finished items, and texts that were cut."""
        told = self._closed | {place.output_index: place.cut() for place in self._open.values()}
        return [item for _, item in sorted(told.items()) if _says_something(item)]

    def broken_off(self, error: JobError) -> list[EventObject]:
        """The job was deleted while it was followed, or cannot be told."""
        return [self._say("error", **error.model_dump(), param=None)]

    def _say(self, kind: str, **fields: Any) -> EventObject:
        self._next_number += 1
        return {"type": kind, "sequence_number": self._next_number - 1, **fields}

    def _begun(self, event: Event) -> Iterator[EventObject]:
        self._closed = {}
        self._offset = self._next_index
        self._log_start = (event.sequence_number or 0) + 1
        if not self._has_begun:
            self._has_begun = True
            yield self._say("response.in_progress", response=self._response(State.IN_PROGRESS))

    def _spoken(self, text: str, data: dict[str, Any] | None) -> Iterator[EventObject]:
        if data is not None and data.get("type") == "response.output_text.delta":
            yield from self._spoken_there(text, data)
            return
        place = next((one for one in reversed(self._open.values()) if one.part is not None), None)
        if place is None:
            place = yield from self._implied()
        index = place.part or 0
        place.texts[index] = place.texts.get(index, "") + text
        yield self._say("response.output_text.delta", **place.place(index), delta=text, **_WITHOUT_LOGPROBS)

    def _spoken_there(self, text: str, data: dict[str, Any]) -> Iterator[EventObject]:
        shifted = self._shifted(data)
        place = self._open.get(shifted["output_index"])
        if place is not None:
            place.texts[data["content_index"]] = place.texts.get(data["content_index"], "") + text
        yield self._pass(shifted | {"delta": text, "logprobs": data.get("logprobs") or []})

    def _implied(self) -> Generator[EventObject, None, _Open]:
        """Opens the message that a text alone belongs to; returns it."""
        item = items.message(items.message_id(self._job_id, self._log_start), None, "in_progress")
        place = _Open(item, self._next_index, {0: ""}, part=0, is_implied=True)
        yield self._added(place)
        yield self._say("response.content_part.added", **place.place(0), part=items.text_part(""))
        return place

    def _closed_implied(self, status: str = "completed") -> Iterator[EventObject]:
        for place in [one for one in self._open.values() if one.is_implied]:
            del self._open[place.output_index]
            text, part = place.texts[0], items.text_part(place.texts[0])
            done = items.message(place.item["id"], text, status)
            yield self._say("response.output_text.done", **place.place(0), text=text, **_WITHOUT_LOGPROBS)
            yield self._say("response.content_part.done", **place.place(0), part=part)
            yield self._done(place.output_index, done)

    def _upstream(self, data: dict[str, Any]) -> Iterator[EventObject]:
        shifted = self._shifted(data)
        place = self._open.get(shifted.get("output_index", -1))
        match data["type"]:
            case "response.output_item.added":
                yield from self._closed_implied()
                yield self._added(_Open(data["item"], shifted["output_index"]))
                return
            case "response.content_part.added" if place and data["part"].get("type") == "output_text":
                self._open[place.output_index] = self._open.pop(place.output_index)  # the latest comes last
                place.part = data["content_index"]
                place.texts[place.part] = data["part"].get("text") or ""
            case "response.output_text.done" if place:
                shifted = place.filled(shifted, data["content_index"])
            case "response.content_part.done" if place:
                place.part = None
                shifted["part"] = place.filled(data["part"], data["content_index"])
            case "response.output_item.done" if place:
                del self._open[place.output_index]
                self._closed[place.output_index] = shifted["item"] = place.with_texts(data["item"])
        yield self._pass(shifted)

    def _added(self, place: _Open) -> EventObject:
        self._open[place.output_index] = place
        self._next_index = max(self._next_index, place.output_index + 1)
        return self._say("response.output_item.added", output_index=place.output_index, item=place.item)

    def _shifted(self, data: dict[str, Any]) -> dict[str, Any]:
        if "output_index" not in data:
            return dict(data)
        return data | {"output_index": data["output_index"] + self._offset}

    def _pass(self, event: dict[str, Any]) -> EventObject:
        rest = {name: value for name, value in event.items() if name not in ("type", "sequence_number")}
        return self._say(event["type"], **rest)

    def _cut_short(self) -> list[EventObject]:
        left, self._open = self._open, {}
        return [self._done(place.output_index, place.cut()) for place in left.values()]

    def _done(self, output_index: int, item: dict[str, Any]) -> EventObject:
        self._closed[output_index] = item
        return self._say("response.output_item.done", output_index=output_index, item=item)


def _says_something(item: dict[str, Any]) -> bool:
    """A call that was cut does not: its arguments are no arguments."""
    return item.get("status") != "incomplete" or bool(item.get("content"))
