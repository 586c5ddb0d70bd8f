"""The log of one attempt as events of a response, with output indexes from 0. Pure.

A text without a message item, as from a provider that supports chat completions only, gets one.
"""

from collections.abc import Iterator

from jobs.events import Event
from openai_format import response_events
from openai_format.items import message_item, output_text_part
from openai_format.response_accumulator import ResponseAccumulator, is_valid_event
from openai_format.types import EventObject, Item, ItemStatus, JsonObject


class AttemptEvents:
    """Translates the log of one attempt. ``message_id`` is the id of the message around a text without one."""

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._items = ResponseAccumulator()
        self._own_message: int | None = None  # output index of the open message that we created
        self.next_index = 0

    def translate(self, event: Event) -> Iterator[EventObject]:
        """The events for one entry of the log that is part of the answer; none for any other entry.

        Raises ValueError or another of MALFORMED for an event that no reader could decode.
        """
        match event.type:
            case "delta":
                yield from self._text_delta(event.text or "", event.data)
            case "upstream" if event.data and "type" in event.data:
                yield from self._provider_event(event.data)

    def close_own_message(self, status: ItemStatus = "completed") -> Iterator[EventObject]:
        """Close the message around a text without one."""
        if self._own_message is None:
            return
        index, self._own_message = self._own_message, None
        text = self._items.text_at(index, 0)
        item = message_item(self._message_id, [output_text_part(text)], status)
        for event in response_events.close_text("output_text", item, index, text):
            self._add(event)
            yield event

    def close_open_items(self) -> Iterator[EventObject]:
        """Close the items that the attempt has not finished. They are incomplete."""
        self._own_message = None
        for index, item in self._items.open_items():
            event = response_events.item_done(index, item)
            self._items.add(event)
            yield event

    def output(self) -> list[JsonObject]:
        """The items so far: the finished ones, and texts that were cut off."""
        return [dict(item) for item in self._items.output() if _has_content(item)]

    def _text_delta(self, text: str, data: JsonObject | None) -> Iterator[EventObject]:
        if data is not None and data.get("type") == response_events.TEXT_DELTA:
            self._items.add_text(data["output_index"], data["content_index"], text)
            yield data | {"delta": text, "logprobs": data.get("logprobs") or []}
            return
        if self._items.open_part is None:
            yield from self._open_own_message()
        position = self._items.open_part
        if position is not None:
            self._items.add_text(position["output_index"], position["content_index"], text)
            yield response_events.output_text_delta(position, text)

    def _open_own_message(self) -> Iterator[EventObject]:
        item = message_item(self._message_id, [], "in_progress")
        self._own_message = self.next_index
        for event in response_events.open_text("output_text", item, self.next_index):
            self._add(event)
            yield event

    def _provider_event(self, data: JsonObject) -> Iterator[EventObject]:
        if not is_valid_event(data):
            raise ValueError("an event of the log is malformed")
        if data["type"] == response_events.ITEM_ADDED:
            yield from self.close_own_message()
        event = self._items.fill(data)
        self._add(event)
        yield dict(event)

    def _add(self, event: EventObject) -> None:
        """An argument or reasoning delta is added too: a cut item shows what it has."""
        if isinstance(event.get("delta"), str):
            self._items.add_delta(event, event["delta"])
            return
        self._items.add(event)
        if event["type"] == response_events.ITEM_ADDED:
            self.next_index = max(self.next_index, event["output_index"] + 1)


def _has_content(item: Item) -> bool:
    """False for a call that was cut: its arguments are not valid JSON."""
    return item.get("status") != "incomplete" or bool(item.get("content"))
