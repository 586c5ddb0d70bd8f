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
        event("output_item.done", output_index=0, item=None),
        event("output_item.done", output_index=0, item=ITEM | {"content": ["x"]}),
        event("content_part.added", **PLACE, part=PART | {"text": 5}),
        event("content_part.done", **PLACE, part=None),
        event("output_text.delta", **PLACE, delta=""),
        event("function_call_arguments.delta", output_index=0, item_id="x", delta=""),
        event("function_call_arguments.delta", output_index=1, item_id="x", delta="{}"),
        {"type": "keepalive"},
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


TEXT_EVENTS = [
    *OPENED,
    TEXT,
    event("output_text.done", **PLACE, text="hi", logprobs=[]),
    event("content_part.done", **PLACE, part=PART | {"text": "hi"}),
    event("output_item.done", output_index=0, item=ITEM | {"status": "completed", "content": [PART | {"text": "hi"}]}),
]
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "status": "completed", "arguments": "{}"}
CALL_EVENTS = [
    event("output_item.added", output_index=1, item=CALL | {"arguments": "", "status": "in_progress"}),
    event("function_call_arguments.delta", output_index=1, item_id="fc_1", delta="{}"),
    event("function_call_arguments.done", output_index=1, item_id="fc_1", arguments="{}"),
    event("output_item.done", output_index=1, item=CALL),
]
ALL = [*TEXT_EVENTS, *CALL_EVENTS]


def without(*names):
    def change(_number, payload):
        return {name: value for name, value in payload.items() if name not in names}

    return change


def with_index(value):
    def change(_number, payload):
        return payload | {name: value for name in ("output_index", "content_index") if name in payload}

    return change


def other_id(number, payload):
    """An id of its own for each event, as a gateway that encrypts ids sends them."""
    if "item" in payload:
        return payload | {"item": payload["item"] | {"id": f"odd_{number}"}}
    return payload | {"item_id": f"odd_{number}"} if "item_id" in payload else payload


def null_id(_number, payload):
    return payload | {"item": payload["item"] | {"id": None}} if "item" in payload else payload | {"item_id": None}


CHANGES = {
    "as sent": without(),
    "no index": without("output_index", "content_index", "sequence_number"),
    "no output index": without("output_index"),
    "no content index": without("content_index"),
    "no item id": without("item_id"),
    "null ids": null_id,
    "null index": with_index(None),
    "same index": with_index(0),
    "index from 1": with_index(1),
    "an id for each event": other_id,
    "neither": lambda number, payload: null_id(number, without("output_index", "content_index")(number, payload)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_positions_and_ids_follow_from_the_order(change):
    """A client reads the same events, whatever the provider leaves out; llama.cpp sends no index at all."""
    completed = event("completed", response={"status": "completed", "output": []})
    whole = read(*[change(number, payload) for number, payload in enumerate(ALL)], completed)[-1].body["output"]

    assert [(item["type"], item["status"]) for item in whole] == [
        ("message", "completed"),
        ("function_call", "completed"),
    ]
    assert (whole[1]["call_id"], whole[1]["arguments"]) == ("c1", "{}")
    assert event_kinds(*[change(number, payload) for number, payload in enumerate(ALL)]) == event_kinds(*ALL)


@pytest.mark.parametrize("begin", range(1, len(TEXT_EVENTS) - 1))
def test_events_that_open_a_text_may_be_missing(begin):
    """Some gateways send deltas only. The text still has an item and a part around it."""
    kinds = event_kinds(*TEXT_EVENTS[begin:3])
    text = event_kinds(*OPENED, TEXT) if begin < 3 else []

    assert kinds == text


def test_a_final_response_completes_what_was_streamed():
    """The items and texts that came without events are streamed too, so that every reader has the whole answer."""
    message = ITEM | {"status": "completed", "content": [PART | {"text": "hi there"}]}
    completed = event("completed", response={"status": "completed", "output": [message, CALL]})
    deltas = read(*OPENED, TEXT, completed)

    assert "".join(delta.text for delta in deltas) == "hi there"
    kinds = [delta.data["type"].removeprefix("response.") for delta in deltas if delta.data]
    assert kinds[2:5] == ["output_text.done", "content_part.done", "output_item.done"]
    assert kinds[5:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]


def test_an_answer_without_stream_is_read():
    """Some providers ignore the request for a stream."""
    body = {
        "id": "r",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [ITEM | {"content": [PART]}],
    }
    whole = body | {"output": [ITEM | {"status": "completed", "content": [PART | {"text": "hi"}]}, CALL]}
    deltas = read(whole)

    assert "".join(delta.text for delta in deltas) == "hi"
    assert deltas[-1].body["output"] == whole["output"]


def test_arguments_that_are_an_object_become_a_text():
    """Clients parse the arguments of a call as JSON."""
    call = CALL | {"arguments": {"a": 1}}
    completed = event("completed", response={"status": "completed", "output": [call]})
    deltas = read(event("output_item.done", output_index=0, item=call), completed)

    assert deltas[-1].body["output"][0]["arguments"] == '{"a": 1}'
    assert [delta.data["item"]["arguments"] for delta in deltas if "item" in (delta.data or {})] == ["", '{"a": 1}']
