"""A chat completion's stream as a response: what the client's own helper makes of it, event by event."""

import pytest
from openai import omit
from openai._models import construct_type
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent

from api.openai.encoding import items
from api.openai.encoding.response_events import ResponseEventBuilder
from api.openai.snapshot import JobSnapshot
from jobs.events import Event, read_events
from jobs.kinds.response import ResponseAnswer, ResponseTask
from jobs.models import JobRecord
from jobs.states import State
from tasks.event_writer import _events
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.delta import sanitize

JOB = "resp_" + "0" * 32
COUNTED = {"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def chunk(finish_reason=None, **delta):
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def calls(index, arguments, call_id=None, name=None):
    return chunk(tool_calls=[{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}])


def read(*said):
    parser = ChatToResponseParser()
    return [sanitize(delta) for one in said for delta in parser.parse(one)] + list(parser.finish())


def response(status, output):
    return {"id": JOB, "object": "response", "status": status, "output": output, "tools": [], "model": "m"}


def final_output(deltas, state):
    record = JobRecord(
        job_id=JOB, kind="response", tenant="t", queue="q", state=state, version=1, seq=1, attempts=1, log_start=1,
        max_attempts=1, created_at_ms=1_000,
    )  # fmt: skip
    text = "".join(delta.text for delta in deltas)
    answer = ResponseAnswer(text=text, model="m", finish_reason="stop", usage=None, body=deltas[-1].body)
    return items.output(JobSnapshot(record, ResponseTask(kind="response", body={}), answer))


def told(*said, state=State.COMPLETED):
    """The events that a client reads, which its helper must accept; and the response that the helper ends with."""
    deltas = read(*said)
    events = ResponseEventBuilder(JOB, lambda early: response(early.value, []))
    lines = _events(delta for delta in deltas if delta.text or delta.data is not None)
    log = read_events([line.encode() for line in lines], 1)
    heard = events.start()
    for event in [Event(sequence_number=0, type="in_progress", attempt=1), *log]:
        heard += events.translate(event)
    heard += events.finish(response(state.value, final_output(deltas, state)))
    helper = ResponseStreamState(input_tools=[], text_format=omit)
    for event in heard:
        helper.handle_event(construct_type(type_=ResponseStreamEvent, value=event))
    _check_that_the_end_repeats_what_was_told(heard)
    more = {"created_at": 1, "parallel_tool_calls": True, "tool_choice": "auto"}
    return heard, Response.model_validate(heard[-1]["response"] | more)


def _check_that_the_end_repeats_what_was_told(heard):
    done = [event["item"] for event in heard if event["type"] == "response.output_item.done"]
    assert heard[-1]["response"]["output"] == done


def kinds(heard):
    return [event["type"].removeprefix("response.") for event in heard[3:-1]]


def spoken(heard, kind):
    return "".join(event["delta"] for event in heard if event["type"] == f"response.{kind}.delta")


def test_a_refusal_is_told_as_one():
    heard, final = told(
        chunk(role="assistant", content=""), chunk(refusal="I "), chunk(refusal="won't."), chunk("stop")
    )

    assert kinds(heard) == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert heard[-4]["refusal"] == spoken(heard, "refusal") == "I won't."
    assert (final.output[0].content[0].type, final.output[0].content[0].refusal) == ("refusal", "I won't.")
    assert final.output_text == ""


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_thought_is_an_item_before_the_answer(name):
    heard, final = told(
        chunk(role="assistant", content=None, **{name: "Let me "}),
        chunk(**{name: "see."}),
        chunk(content="42", **{name: None}),
        chunk("stop"),
        COUNTED,
    )

    assert kinds(heard)[:6] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    thought, message = final.output
    assert (thought.type, thought.summary, thought.status) == ("reasoning", [], "completed")
    assert thought.content[0].text == spoken(heard, "reasoning_text") == "Let me see."
    assert final.output_text == message.content[0].text == "42"


def test_a_thought_under_both_names_is_told_once():
    heard, _ = told(chunk(reasoning_content="so", reasoning="so"), chunk("stop", content="42"))

    assert spoken(heard, "reasoning_text") == "so"


def test_a_call_is_closed_when_the_next_one_begins():
    heard, final = told(
        chunk(content="Let me see."),
        calls(0, "", "c1", "f"),
        calls(0, '{"a":'),
        calls(0, "1}"),
        calls(1, "{}", "c2", "g"),
        chunk("tool_calls"),
    )

    places = [event["output_index"] for event in heard[3:-1]]
    assert places == sorted(places)
    assert kinds(heard)[-8:-4] == kinds(heard)[-4:]
    message, first, second = final.output
    assert message.content[0].text == "Let me see."
    assert (first.call_id, first.name, first.arguments) == ("c1", "f", '{"a":1}')
    assert (second.call_id, second.name, second.arguments) == ("c2", "g", "{}")


def test_calls_that_come_interleaved_stay_open_until_they_are_whole():
    """Each with its own arguments, streamed as they come."""
    heard, final = told(
        calls(0, '{"a":', "c1", "f"),
        calls(1, "{", "c2", "g"),
        calls(0, "1}"),
        calls(2, '{"c":3}', "c3", "h"),
        calls(1, '"b":2}'),
        chunk("tool_calls"),
    )

    assert [call.arguments for call in final.output] == ['{"a":1}', '{"b":2}', '{"c":3}']
    deltas = [event["output_index"] for event in heard if event["type"].endswith("arguments.delta")]
    assert deltas == [0, 1, 0, 2, 1]


def test_arguments_that_go_on_after_they_were_whole_are_passed_over():
    """They were told as whole; and the rest of the answer is worth as much without them."""
    _, final = told(
        calls(0, "{}", "c1", "f"), calls(1, "{", "c2", "g"), calls(0, '{"a":1}'), calls(1, "}"), chunk("tool_calls")
    )

    assert [(call.name, call.arguments) for call in final.output] == [("f", "{}"), ("g", "{}")]


def test_a_text_after_a_call_is_a_message_of_its_own():
    heard, final = told(
        chunk(content="one"), calls(0, "{}", "c1", "f"), chunk(content="two"), chunk(content=" three"), chunk("stop")
    )

    assert [item.type for item in final.output] == ["message", "function_call", "message"]
    assert [final.output[place].content[0].text for place in (0, 2)] == ["one", "two three"]
    assert spoken(heard, "output_text") == final.output_text == "onetwo three"


def test_a_call_without_arguments_or_name_is_told_at_the_end():
    _, final = told(calls(0, "", "c1", "f"), calls(1, "{}", "c2"), chunk("tool_calls"))

    assert [(call.name, call.arguments) for call in final.output] == [("f", ""), ("", "{}")]


def test_what_the_length_cut_is_incomplete():
    _, final = told(chunk(reasoning="so"), calls(0, '{"a":', "c1", "f"), chunk("length"), state=State.INCOMPLETE)

    assert [(item.type, item.status) for item in final.output] == [
        ("reasoning", "completed"),
        ("function_call", "incomplete"),
    ]


def test_the_one_text_is_kept_once():
    whole = read(chunk(content="hi"), chunk("stop"), COUNTED)[-1]

    assert whole.body["output"] == [{"type": "message"}]
    assert whole.body["usage"]["total_tokens"] == 5


def test_texts_around_a_call_have_places_of_their_own():
    heard, final = told(
        calls(0, "{}", "c1", "f"), chunk(content="after"), calls(1, "{}", "c2", "g"), chunk("tool_calls")
    )

    opened = [event["output_index"] for event in heard if event["type"].endswith("item.added")]
    assert opened == [0, 1, 2]
    assert [item.type for item in final.output] == ["function_call", "message", "function_call"]
    assert final.output_text == "after"


def test_probabilities_come_with_their_text():
    tokens = [{"token": text, "logprob": -0.1, "bytes": [ord(text)], "top_logprobs": []} for text in "hi"]
    said = [chunk(content=token["token"]) for token in tokens]
    for one, token in zip(said, tokens, strict=True):
        one["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    heard, final = told(*said, chunk("stop"))

    deltas = [event["logprobs"] for event in heard if event["type"].endswith("output_text.delta")]
    assert deltas == [[tokens[0]], [tokens[1]]]
    assert [token.token for token in final.output[0].content[0].logprobs] == ["h", "i"]
    assert final.output_text == "hi"


def test_a_character_of_the_arguments_that_was_cut_in_two_is_joined():
    _, final = told(calls(0, '{"a":"\ud83d', "c1", "f"), calls(0, '\ude00"}'), chunk("tool_calls"))

    assert final.output[0].arguments == '{"a":"\U0001f600"}'


def test_usage_under_other_names_or_with_odd_details_is_read():
    usage = {"input_tokens": 3, "output_tokens": 2, "prompt_tokens_details": [1]}
    whole = read(chunk(content="hi"), chunk("stop"), COUNTED | {"usage": usage})[-1]

    assert whole.body["usage"]["total_tokens"] == 5
    assert whole.body["usage"]["input_tokens_details"] == {"cached_tokens": 0}
