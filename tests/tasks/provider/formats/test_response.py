"""Events of a provider's response: malformed events are skipped, and the answer is kept."""

from typing import Any, cast

import pytest
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from api.openai.encoding.response_events import ResponseEventBuilder
from jobs.events import Event, read_events
from tasks.handlers.event_writer import _events
from tasks.provider.formats.delta import sanitize
from tasks.provider.formats.response import ResponseParser

JOB = "resp_" + "0" * 32
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": "", "annotations": []}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}


def event(kind, **fields):
    return {"type": f"response.{kind}", "sequence_number": 1, **fields}


OPENED = [event("output_item.added", output_index=0, item=ITEM), event("content_part.added", **PLACE, part=PART)]
TEXT = event("output_text.delta", **PLACE, delta="hi", logprobs=[])


def read(*payloads):
    parser = ResponseParser()
    return [sanitize(delta) for payload in payloads for delta in parser.parse(payload)]


def event_kinds(*payloads):
    """The kinds of the events that a client reads, which the SDK's helper must accept."""
    events = ResponseEventBuilder(JOB, lambda state: {"id": JOB, "object": "response", "status": state, "output": []})
    lines = _events(delta for delta in read(*payloads) if delta.text or delta.data is not None)
    log = read_events([line.encode() for line in lines], 1)
    events_read = events.start()
    for logged_event in [Event(sequence_number=0, type="in_progress", attempt=1), *log]:
        events_read += events.translate(logged_event)
    helper = ResponseStreamState(input_tools=[], text_format=omit)
    for event_read in events_read:
        helper.handle_event(cast("Any", construct_type(type_=ResponseStreamEvent, value=event_read)))
    return [event_read["type"].removeprefix("response.") for event_read in events_read[3:]]


@pytest.mark.parametrize(
    "odd",
    [
        event("output_item.added", output_index=0),
        event("output_item.added", item=ITEM),
        event("output_item.added", output_index=1, item={"id": "x"}),
        event("output_item.added", output_index=1, item={"type": "message"}),
        event("output_item.done", output_index=0, item=None),
        event("output_item.done", output_index=0, item=ITEM | {"content": ["x"]}),
        event("content_part.added", **PLACE | {"content_index": None}, part=PART),
        event("content_part.added", **PLACE, part=PART | {"text": 5}),
        event("content_part.done", **PLACE, part=None),
        event("output_text.done", output_index=0, text="hi"),
        event("output_text.delta", **PLACE | {"output_index": "0"}, delta="hi"),
        event("output_text.delta", **PLACE, delta=""),
        event("function_call_arguments.delta", output_index=0, item_id="x", delta=""),
        event("new.thing", output_index="0"),
        event("new.thing", output_index=None),
        event("reasoning_summary_text.delta", output_index=0, summary_index="0", delta="so"),
        {"type": 7},
        {"type": ["response.completed"]},
    ],
    ids=str,
)
def test_a_malformed_event_is_skipped(odd):
    """A malformed event must neither reach the client nor cost the answer."""
    assert event_kinds(*OPENED, odd, TEXT) == event_kinds(*OPENED, TEXT)


def test_an_unknown_event_is_forwarded():
    """A provider's new events reach clients without a change here."""
    assert event_kinds(*OPENED, event("new.thing", output_index=0, more={"a": [1]}), TEXT)[2] == "new.thing"


def test_a_text_whose_events_name_no_item_is_read():
    """Some providers send no item ids; the answer must survive."""
    anywhere = [
        {name: value for name, value in event_read.items() if name != "item_id"} for event_read in (*OPENED, TEXT)
    ]

    assert "".join(delta.text for delta in read(*anywhere)) == "hi"


@pytest.mark.parametrize("output", [None, "text", ["x"], [{"id": "x"}]])
def test_an_answer_with_malformed_output_has_the_streamed_items(output):
    """The items of the stream replace an unreadable output."""
    done = ITEM | {"status": "completed", "content": [PART | {"text": "hi"}]}
    completed = event("completed", response={"status": "completed", "output": output, "usage": {"total_tokens": 5}})

    whole = read(*OPENED, TEXT, event("output_item.done", output_index=0, item=done), completed)[-1].body
    assert whole["output"] == [done]
    assert whole["usage"] is None
    assert read(completed)[-1].body["output"] == [{"type": "message"}]


@pytest.mark.parametrize("kind", ["function_call_arguments", "reasoning_text", "reasoning_summary_text"])
def test_a_delta_without_position_does_not_cost_the_answer(kind):
    """A delta without output index must not abort the stream."""
    assert "".join(delta.text for delta in read(*OPENED, event(f"{kind}.delta", delta="x"), TEXT)) == "hi"
