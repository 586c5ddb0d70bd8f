"""Builders of a response's events."""

from typing import Any

import pytest
from openai._models import construct_type
from openai.types.responses import ResponseOutputItem, ResponseStreamEvent
from pydantic import TypeAdapter

from openai_format import response_events
from openai_format.items import custom_call_item, function_call_item, output_text_part, part_of, text_item

KINDS = ("output_text", "refusal", "reasoning_text")
CALL = function_call_item("fc_1", "c1", "f", "{}", "completed")
CUSTOM = custom_call_item("ctc_1", "c1", "f", "hi", "completed")


def built(kind):
    item = text_item(kind, "x_1", [part_of(kind, "hi")], "completed")
    position = response_events.part_position("x_1", 0)
    return [
        *response_events.open_text(kind, text_item(kind, "x_1", [], "in_progress"), 0),
        response_events.text_delta(kind, position, "hi"),
        *response_events.close_text(kind, item, 0, "hi"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        *(event for kind in KINDS for event in built(kind)),
        response_events.item_added(0, {**CALL, "arguments": "", "status": "in_progress"}),
        response_events.arguments_delta("fc_1", 0, "{}"),
        *response_events.close_call(CALL, 0),
        *response_events.whole_item(CUSTOM, 0),
    ],
    ids=lambda event: event["type"],
)
def test_an_event_is_valid_for_the_sdk(event):
    """The SDK's strict model of the event's type accepts every event that is built here, once it has a number."""
    numbered = response_events.EventNumbering().number(event)
    model: Any = type(construct_type(type_=ResponseStreamEvent, value=numbered))

    assert model.model_validate(numbered).type == event["type"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_is_valid_for_the_sdk(kind):
    """An item with a part of any text kind is one of the SDK's output items."""
    item = text_item(kind, "x_1", [part_of(kind, "hi")], "completed")

    assert TypeAdapter(ResponseOutputItem).validate_python(item).type == item["type"]


def test_numbers_have_no_gaps_and_replace_the_providers():
    """A client resumes after a number: a provider's own number in between would make it skip events."""
    numbering = response_events.EventNumbering()
    foreign = {
        **response_events.part_added(response_events.part_position("x", 0), output_text_part("")),
        "sequence_number": 7,
    }

    assert [numbering.number(foreign)["sequence_number"] for _ in range(3)] == [0, 1, 2]
