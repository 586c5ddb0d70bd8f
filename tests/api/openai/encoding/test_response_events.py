"""A job's log as the events of a response: valid for the SDK's helper, whatever happened to the attempts."""

from typing import Any, cast

import pytest
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from api.openai.encoding.response_events import ResponseEventBuilder
from jobs.events import Event
from jobs.requests import StreamOptions

JOB = "resp_" + "0" * 32


def response(status, output=()):
    return {"id": JOB, "object": "response", "status": status, "output": list(output), "tools": [], "model": "m"}


def encode_log(*log, output=None, status="completed", **options):
    """The events that a client reads of this log, which the SDK's own state must accept."""
    events = ResponseEventBuilder(JOB, lambda state: response(state.value), StreamOptions(**options))
    output_events = events.start()
    for number, event in enumerate(log):
        output_events += events.translate(event.model_copy(update={"sequence_number": number}))
    items = [item | {"status": status} for item in events.output()] if output is None else output
    output_events += events.finish(response(status, items))
    assert [event["sequence_number"] for event in output_events] == list(range(len(output_events)))
    state = ResponseStreamState(input_tools=[], text_format=omit)
    for event in output_events:
        if event["type"] != "response.cancelled":
            state.handle_event(cast("Any", construct_type(type_=ResponseStreamEvent, value=event)))
    return output_events


def log(kind, **fields):
    return Event(sequence_number=None, type=kind, **fields)


def attempt_started():
    return log("in_progress", attempt=1)


def text_event(text):
    return log("delta", text=text)


def upstream(kind, **data):
    return log("upstream", data={"type": f"response.{kind}", **data})


def kinds(output_events):
    return [event["type"].removeprefix("response.") for event in output_events]


PLACE = {"item_id": "msg_up", "output_index": 0, "content_index": 0}
OPENED = (
    upstream("output_item.added", output_index=0, item={"id": "msg_up", "type": "message", "content": []}),
    upstream("content_part.added", **PLACE, part={"type": "output_text", "text": "", "annotations": []}),
)
CALL = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "", "status": "in_progress"}


def test_a_text_alone_gets_a_message_around_it():
    """A client's helper needs an item and a part around every text."""
    output_events = encode_log(attempt_started(), text_event("hi"), text_event("!"))

    assert kinds(output_events) == [
        "created",
        "queued",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert output_events[-2]["item"]["content"][0]["text"] == "hi!"


def test_a_job_that_never_started_has_only_its_final_event():
    """A job that was cancelled in the queue still ends its stream."""
    assert kinds(encode_log(status="cancelled")) == ["created", "queued", "cancelled"]


def test_a_lost_attempt_is_closed_and_the_next_one_follows_it():
    """Repeating an output index makes the SDK's helper raise, so the next attempt uses new indexes and ids."""
    output_events = encode_log(
        attempt_started(),
        text_event("lost"),
        log("attempt_incomplete", attempt=1),
        attempt_started(),
        text_event("won"),
        include_restarts=True,
    )

    added = [event for event in output_events if event["type"] == "response.output_item.added"]
    done = [event for event in output_events if event["type"] == "response.output_item.done"]
    assert [event["output_index"] for event in added] == [event["output_index"] for event in done] == [0, 1]
    assert added[0]["item"]["id"] != added[1]["item"]["id"]
    assert [(event["item"]["status"], event["item"]["content"][0]["text"]) for event in done] == [
        ("incomplete", "lost"),
        ("completed", "won"),
    ]
    assert kinds(output_events).count("in_progress") == 1


def test_a_lost_attempt_of_a_provider_of_responses_is_closed_too():
    """Its items keep their ids; the items of the next attempt get shifted indexes."""
    again = (
        upstream("output_item.added", output_index=0, item={"id": "msg_2", "type": "message", "content": []}),
        upstream("content_part.added", **PLACE | {"item_id": "msg_2"}, part={"type": "output_text", "text": ""}),
        text_event("won"),
        upstream("output_text.done", **PLACE | {"item_id": "msg_2"}),
        upstream("content_part.done", **PLACE | {"item_id": "msg_2"}, part={"type": "output_text"}),
        upstream("output_item.done", output_index=0, item={"id": "msg_2", "type": "message", "content": [{}]}),
    )
    output_events = encode_log(
        attempt_started(),
        *OPENED,
        text_event("lo"),
        text_event("st"),
        log("attempt_incomplete"),
        attempt_started(),
        *again,
        include_restarts=True,
    )

    done = [event for event in output_events if event["type"] == "response.output_item.done"]
    assert (done[0]["item"]["id"], done[0]["item"]["status"]) == ("msg_up", "incomplete")
    assert done[0]["item"]["content"][0]["text"] == "lost"
    assert (done[1]["output_index"], done[1]["item"]["content"][0]["text"]) == (1, "won")
    assert [event["text"] for event in output_events if event["type"] == "response.output_text.done"] == ["won"]
    assert [event["part"]["text"] for event in output_events if event["type"] == "response.content_part.done"] == [
        "won"
    ]


def test_a_text_with_log_probabilities_keeps_its_position():
    """The delta keeps its log-probabilities, and a failed response keeps the text."""
    more = {"type": "response.output_text.delta", **PLACE, "logprobs": [{"token": "hi", "logprob": -1.0}]}
    output_events = encode_log(attempt_started(), *OPENED, log("delta", text="hi", data=more), status="failed")

    (delta,) = (event for event in output_events if event["type"] == "response.output_text.delta")
    assert (delta["delta"], delta["logprobs"][0]["token"], delta["output_index"]) == ("hi", "hi", 0)
    assert output_events[-2]["item"]["content"][0]["text"] == "hi"


def test_a_call_closes_the_message_before_it():
    """The message that was created around a text ends before the provider's next item opens."""
    done = CALL | {"arguments": "{}", "status": "completed"}
    output_events = encode_log(
        attempt_started(),
        text_event("Let me see."),
        upstream("output_item.added", output_index=1, item=CALL),
        upstream("function_call_arguments.delta", item_id="fc_1", output_index=1, delta="{}"),
        upstream("output_item.done", output_index=1, item=done),
    )

    assert kinds(output_events)[-8:] == [
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": []}
BROKEN_OFF = (
    upstream("output_item.added", output_index=0, item=THOUGHT),
    upstream("output_item.done", output_index=0, item=THOUGHT | {"status": "completed"}),
    upstream("output_item.added", output_index=1, item=CALL),
    upstream("output_item.done", output_index=1, item=CALL | {"arguments": "{}", "status": "completed"}),
    text_event("so far"),
    upstream("output_item.added", output_index=3, item=CALL | {"id": "fc_2", "call_id": "c2"}),
    upstream("function_call_arguments.delta", item_id="fc_2", output_index=3, delta='{"a'),
)


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_response_without_answer_keeps_finished_items_and_drops_a_cut_call(status):
    """Only items of the last attempt are listed, and the stream and the response agree."""
    lost = THOUGHT | {"id": "rs_0"}
    earlier = [upstream(f"output_item.{what}", output_index=0, item=lost) for what in ("added", "done")]
    broken_off = (attempt_started(), *earlier, log("attempt_incomplete"), attempt_started(), *BROKEN_OFF)
    output_events = encode_log(*broken_off, status=status, include_restarts=True)

    output = output_events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "function_call", "message"]
    assert (output[1]["call_id"], output[1]["arguments"]) == ("c1", "{}")
    assert output[2]["content"][0]["text"] == "so far"
    done = [event["item"] for event in output_events if event["type"] == "response.output_item.done"]
    assert output == done[1:-1]
    by_default = encode_log(*broken_off, status=status)
    assert [item["type"] for item in by_default[-1]["response"]["output"]] == [item["type"] for item in output]
    assert [event["item"]["id"] for event in by_default if event["type"] == "response.output_item.done"] == ["rs_0"]


@pytest.mark.parametrize("status", ["failed", "incomplete", "cancelled"])
def test_an_open_item_is_closed_as_incomplete(status):
    """A client must not take a partial text for a complete one."""
    output_events = encode_log(attempt_started(), text_event("so far"), status=status)

    assert kinds(output_events)[-2:] == ["output_item.done", status]
    assert output_events[-2]["item"]["status"] == "incomplete"


def test_chunks_of_a_completion_read_as_a_response_are_left_out():
    """A chunk is not an event of a response: the client could not decode it."""
    chunk = log("upstream", data={"choices": [{"index": 0, "delta": {"role": "assistant"}}]})

    assert "output_text.delta" not in kinds(encode_log(attempt_started(), chunk))


def opened(output_index, item_id):
    place = {"item_id": item_id, "output_index": output_index, "content_index": 0}
    item = {"id": item_id, "type": "message", "content": []}
    return (
        upstream("output_item.added", output_index=output_index, item=item),
        upstream("content_part.added", **place, part={"type": "output_text", "text": "", "annotations": []}),
    )


def test_a_delta_belongs_to_the_part_that_was_opened_last():
    """This holds if an earlier item is still open, and if an earlier item gets its part later."""
    first, second = opened(0, "m0"), opened(1, "m1")
    for log_lines, expected in (((*first, *second), "m1"), ((first[0], *second, first[1]), "m0")):
        output_events = encode_log(attempt_started(), *log_lines, text_event("hi"), status="failed")
        assert [event["item_id"] for event in output_events if event["type"] == "response.output_text.delta"] == [
            expected
        ]


def test_an_answer_that_was_cut_closes_its_text_like_a_complete_one():
    """A client receives the done events with the partial text."""
    output_events = encode_log(attempt_started(), text_event("so far"), status="incomplete")

    assert kinds(output_events)[-4:] == ["output_text.done", "content_part.done", "output_item.done", "incomplete"]
    assert output_events[-4]["text"] == output_events[-3]["part"]["text"] == "so far"
    assert output_events[-2]["item"]["status"] == "incomplete"


@pytest.mark.parametrize(("lost", "streamed"), [((), True), ((text_event("x"),), False)], ids=["empty", "with output"])
def test_only_an_attempt_with_output_stops_the_arguments(lost, streamed):
    """A call that the provider refused at its rate limit is an attempt too. Nothing of it was sent."""
    added = upstream("output_item.added", output_index=0, item=CALL)
    part = upstream("function_call_arguments.delta", item_id="fc_1", output_index=0, delta="{}")
    events = ResponseEventBuilder(JOB, lambda state: response(state.value), StreamOptions(include_arguments=True))
    for number, event in enumerate((attempt_started(), *lost, log("attempt_incomplete"), attempt_started())):
        events.translate(event.model_copy(update={"sequence_number": number}))

    sent = [*events.translate(added), *events.translate(part)]
    assert kinds(sent) == (["output_item.added", "function_call_arguments.delta"] if streamed else [])
