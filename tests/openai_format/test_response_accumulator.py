"""Events of a response, accumulated to items."""

import pytest

from openai_format import response_events
from openai_format.items import function_call_item, message_item, output_text_part
from openai_format.response_accumulator import ResponseAccumulator

OPENED = response_events.open_text("output_text", message_item("msg_1", [], "in_progress"), 0)


def closed(text):
    return response_events.close_text(
        "output_text", message_item("msg_1", [output_text_part(text)], "completed"), 0, text
    )


def accumulator_of(*added, text=""):
    accumulator = ResponseAccumulator()
    for event in added:
        accumulator.add(event)
    if text:
        accumulator.add_text(0, 0, text)
    return accumulator


@pytest.mark.parametrize("number", range(3), ids=["text", "part", "item"])
def test_a_text_that_deltas_have_delivered_is_stripped_and_filled_in_again(number):
    """The log stores the text once, and the reader of the log gets the provider's event back."""
    accumulator, event = accumulator_of(*OPENED, text="hi"), closed("hi")[number]
    stripped = accumulator.strip(event)

    assert "hi" not in str(stripped)
    assert accumulator.fill(stripped) == event


def test_a_text_that_differs_from_its_deltas_is_kept():
    """A provider may correct a text at its end: stripping it would lose the correction."""
    event = closed("corrected")[0]

    assert accumulator_of(*OPENED, text="hi").strip(event) == event
    assert accumulator_of(*OPENED, text="hi").fill(event) == event


def test_a_delta_without_position_belongs_to_the_part_opened_last():
    """A part that is done is open no more, and the part opened before it is the latest again."""
    second = response_events.open_text("output_text", message_item("msg_2", [], "in_progress"), 1)
    accumulator = accumulator_of(*OPENED, *second)
    assert accumulator.open_part == response_events.part_position("msg_2", 1)

    accumulator.add(response_events.part_done(response_events.part_position("msg_2", 1), output_text_part("")))
    assert accumulator.open_part == response_events.part_position("msg_1", 0)


def test_open_items_are_incomplete_with_what_they_have_grown_to():
    """An answer that was cut keeps its partial text, arguments and reasoning."""
    accumulator = accumulator_of(*OPENED, text="so far")
    accumulator.add(response_events.item_added(1, function_call_item("fc_1", "c1", "f", "", "in_progress")))
    accumulator.add(response_events.item_added(2, {"id": "rs_1", "type": "reasoning", "summary": []}))
    accumulator.add_delta({"type": response_events.ARGUMENTS_DELTA, "output_index": 1}, '{"a')
    accumulator.add_delta({"type": "response.reasoning_summary_text.delta", "output_index": 2}, "be")
    accumulator.add_delta({"type": "response.reasoning_summary_text.delta", "output_index": 2}, "cause")

    message, call, reasoning = accumulator.output()
    assert message["content"] == [output_text_part("so far")]
    assert call["arguments"] == '{"a'
    assert reasoning["summary"] == [{"type": "summary_text", "text": "because"}]
    assert {item["status"] for item in (message, call, reasoning)} == {"incomplete"}


def test_an_index_that_is_used_again_starts_with_an_empty_text():
    """Deltas of the earlier item must not leak into the later one."""
    accumulator = accumulator_of(*OPENED, text="first")
    for event in (*closed("first"), *OPENED):
        accumulator.add(event)
    accumulator.add_text(0, 0, "second")

    assert accumulator.text_at(0, 0) == "second"
