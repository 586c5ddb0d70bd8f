"""A response's events as a provider may send them: what cannot be told is passed over, and the answer is kept."""

import pytest
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from api.openai.encoding.response_events import ResponseEventBuilder
from jobs.events import Event, read_events
from tasks.event_writer import _events
from tasks.provider.formats.delta import sanitize
from tasks.provider.formats.response import ResponseParser

JOB = "resp_" + "0" * 32
PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": "", "annotations": []}
ITEM = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}


def event(kind, **fields):
    return {"type": f"response.{kind}", "sequence_number": 1, **fields}


OPENED = [event("output_item.added", output_index=0, item=ITEM), event("content_part.added", **PLACE, part=PART)]
SPOKEN = event("output_text.delta", **PLACE, delta="hi", logprobs=[])


def read(*said):
    parser = ResponseParser()
    return [sanitize(delta) for one in said for delta in parser.parse(one)]


def told(*said):
    """The kinds of the events that a client reads, which its helper must accept."""
    events = ResponseEventBuilder(JOB, lambda state: {"id": JOB, "object": "response", "status": state, "output": []})
    lines = _events(delta for delta in read(*said) if delta.text or delta.data is not None)
    log = read_events([line.encode() for line in lines], 1)
    heard = events.start()
    for one in [Event(sequence_number=0, type="in_progress", attempt=1), *log]:
        heard += events.translate(one)
    helper = ResponseStreamState(input_tools=[], text_format=omit)
    for one in heard:
        helper.handle_event(construct_type(type_=ResponseStreamEvent, value=one))
    return [one["type"].removeprefix("response.") for one in heard[3:]]


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
def test_an_event_that_cannot_be_told_is_passed_over(odd):
    assert told(*OPENED, odd, SPOKEN) == told(*OPENED, SPOKEN)


def test_an_event_that_nobody_knows_passes():
    assert told(*OPENED, event("new.thing", output_index=0, more={"a": [1]}), SPOKEN)[2] == "new.thing"


def test_a_text_whose_events_name_no_item_is_told():
    anywhere = [{name: value for name, value in one.items() if name != "item_id"} for one in (*OPENED, SPOKEN)]

    assert "".join(delta.text for delta in read(*anywhere)) == "hi"


@pytest.mark.parametrize("output", [None, "text", ["x"], [{"id": "x"}]])
def test_an_answer_whose_output_makes_no_sense_has_what_was_told(output):
    done = ITEM | {"status": "completed", "content": [PART | {"text": "hi"}]}
    completed = event("completed", response={"status": "completed", "output": output, "usage": {"total_tokens": 5}})

    whole = read(*OPENED, SPOKEN, event("output_item.done", output_index=0, item=done), completed)[-1].body
    assert whole["output"] == [done]
    assert whole["usage"] is None
    assert read(completed)[-1].body["output"] == [{"type": "message"}]


@pytest.mark.parametrize("kind", ["function_call_arguments", "reasoning_text", "reasoning_summary_text"])
def test_a_growth_that_names_no_place_costs_nothing(kind):
    assert "".join(delta.text for delta in read(*OPENED, event(f"{kind}.delta", delta="x"), SPOKEN)) == "hi"
