"""A job's log as the events of a response. Pure: the same log gives the same events under the same numbers.

Readers do not see attempts. When an attempt ends without an answer, its open items are closed as incomplete. The next
attempt continues at the following output index with items of its own, and the final response lists only these. A text
without a message item, as from a provider that supports chat completions only, gets one.
"""

from collections.abc import Callable, Iterator
from typing import Final

from api.openai.encoding.items import message_id
from jobs.events import Event
from jobs.results import JobError
from jobs.states import State
from openai_format import response_events
from openai_format.items import message_item, output_text_part
from openai_format.response_accumulator import ResponseAccumulator
from openai_format.types import EventObject, Item, ItemStatus, JsonObject

STATES_WITHOUT_ANSWER: Final = frozenset({State.FAILED, State.CANCELLED})


class ResponseEventBuilder:
    """Translates one log from its beginning. ``response`` returns the response object for a state that is not final."""

    def __init__(self, job_id: str, response: Callable[[State], JsonObject]) -> None:
        self._job_id = job_id
        self._response = response
        self._numbering = response_events.EventNumbering()
        self._attempt = ResponseAccumulator()  # items of the latest attempt
        self._next_index = 0
        self._offset = 0  # output index of the latest attempt's first item
        self._log_start = 0
        self._has_started = False
        self._own_message: tuple[int, str] | None = None  # output index and id of the open message that we created

    def start(self) -> list[EventObject]:
        """The events before the first entry of the log."""
        queued = self._response(State.QUEUED)
        return self._number(
            response_events.response_event("created", queued), response_events.response_event("queued", queued)
        )

    def translate(self, event: Event) -> list[EventObject]:
        """The events for one entry of the log that is not the final one."""
        match event.type:
            case "in_progress":
                return self._number(*self._close_open_items(), *self._start_attempt(event))
            case "delta":
                return self._number(*self._text_delta(event.text or "", event.data))
            case "upstream" if event.data and "type" in event.data:
                return self._number(*self._provider_event(event.data))
            case "attempt_incomplete":
                return self._number(*self._close_open_items())
        return []

    def finish(self, response: JsonObject) -> list[EventObject]:
        """The last events, with the final response. A response without an answer gets the items of the stream."""
        status = response["status"]
        if status in STATES_WITHOUT_ANSWER:
            closing = list(self._close_open_items())
            response = response | {"output": self.output()}
        else:
            closing = [*self._close_own_message(status), *self._close_open_items()]
        return self._number(*closing, response_events.response_event(status, response))

    def output(self) -> list[JsonObject]:
        """The items of the latest attempt: the finished ones, and texts that were cut off."""
        return [dict(item) for item in self._attempt.output() if _has_content(item)]

    def fail(self, error: JobError) -> list[EventObject]:
        """The events for a reader whose job was deleted, or whose log cannot be read."""
        return self._number({"type": "error", **error.model_dump(), "param": None})

    def _number(self, *unnumbered: EventObject) -> list[EventObject]:
        return [self._numbering.number(event) for event in unnumbered]

    def _start_attempt(self, event: Event) -> Iterator[EventObject]:
        self._attempt = ResponseAccumulator()
        self._offset = self._next_index
        self._log_start = (event.sequence_number or 0) + 1
        if not self._has_started:
            self._has_started = True
            yield response_events.response_event("in_progress", self._response(State.IN_PROGRESS))

    def _text_delta(self, text: str, data: JsonObject | None) -> Iterator[EventObject]:
        if data is not None and data.get("type") == response_events.TEXT_DELTA:
            event = self._shift_output_index(data)
            self._attempt.add_text(event["output_index"], event["content_index"], text)
            yield event | {"delta": text, "logprobs": data.get("logprobs") or []}
            return
        if self._attempt.open_part is None:
            yield from self._open_own_message()
        position = self._attempt.open_part
        if position is not None:
            self._attempt.add_text(position["output_index"], position["content_index"], text)
            yield response_events.output_text_delta(position, text)

    def _open_own_message(self) -> Iterator[EventObject]:
        item = message_item(message_id(self._job_id, self._log_start), [], "in_progress")
        self._own_message = (self._next_index, item["id"])
        for event in response_events.open_text("output_text", item, self._next_index):
            self._add(event)
            yield event

    def _close_own_message(self, status: ItemStatus = "completed") -> Iterator[EventObject]:
        if self._own_message is None:
            return
        (index, item_id), self._own_message = self._own_message, None
        text = self._attempt.text_at(index, 0)
        item = message_item(item_id, [output_text_part(text)], status)
        for event in response_events.close_text("output_text", item, index, text):
            self._add(event)
            yield event

    def _provider_event(self, data: JsonObject) -> Iterator[EventObject]:
        if data["type"] == response_events.ITEM_ADDED:
            yield from self._close_own_message()
        event = self._attempt.fill(self._shift_output_index(data))
        self._add(event)
        yield event

    def _add(self, event: EventObject) -> None:
        self._attempt.add(event)
        if event["type"] == response_events.ITEM_ADDED:
            self._next_index = max(self._next_index, event["output_index"] + 1)

    def _shift_output_index(self, data: JsonObject) -> EventObject:
        if "output_index" not in data:
            return dict(data)
        return data | {"output_index": data["output_index"] + self._offset}

    def _close_open_items(self) -> Iterator[EventObject]:
        self._own_message = None
        for index, item in self._attempt.open_items():
            event = response_events.item_done(index, item)
            self._attempt.add(event)
            yield event


def _has_content(item: Item) -> bool:
    """False for a call that was cut: its arguments are not valid JSON."""
    return item.get("status") != "incomplete" or bool(item.get("content"))
