"""A chat completion's stream, served as a response: the SDK's own helper must accept every event."""

from typing import Any, cast

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
from jobs.requests import StreamOptions
from jobs.states import State
from tasks.handlers.event_writer import _events
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.delta import sanitize

JOB = "resp_" + "0" * 32
COUNTED = {"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}


def chunk(finish_reason=None, **delta):
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def calls(index, arguments, call_id=None, name=None):
    return chunk(tool_calls=[{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}])


def read(*payloads):
    parser = ChatToResponseParser()
    return [sanitize(delta) for payload in payloads for delta in parser.parse(payload)] + list(parser.finish(False))


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


def client_view(*payloads, state=State.COMPLETED, **options):
    """The events that a client reads, which the SDK's helper must accept, and the final response."""
    deltas = read(*payloads)
    events = ResponseEventBuilder(JOB, lambda early: response(early.value, []), StreamOptions(**options))
    lines = _events(delta for delta in deltas if delta.text or delta.data is not None)
    log = read_events([line.encode() for line in lines], 1)
    events_read = events.start()
    for logged_event in [Event(sequence_number=0, type="in_progress", attempt=1), *log]:
        events_read += events.translate(logged_event)
    events_read += events.finish(response(state.value, final_output(deltas, state)))
    helper = ResponseStreamState(input_tools=[], text_format=omit)
    for event in events_read:
        helper.handle_event(cast("Any", construct_type(type_=ResponseStreamEvent, value=event)))
    _check_final_output_matches_done_items(events_read)
    more = {"created_at": 1, "parallel_tool_calls": True, "tool_choice": "auto"}
    return events_read, Response.model_validate(events_read[-1]["response"] | more)


def _check_final_output_matches_done_items(events_read):
    done = [event["item"] for event in events_read if event["type"] == "response.output_item.done"]
    assert events_read[-1]["response"]["output"] == done


def kinds(events_read):
    return [event["type"].removeprefix("response.") for event in events_read[3:-1]]


def delta_text(events_read, kind):
    return "".join(event["delta"] for event in events_read if event["type"] == f"response.{kind}.delta")


def test_a_refusal_has_a_part_of_its_own():
    """A client distinguishes a refusal from an answer by its events and its part."""
    events_read, final = client_view(
        chunk(role="assistant", content=""), chunk(refusal="I "), chunk(refusal="won't."), chunk("stop")
    )

    assert kinds(events_read) == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
    ]
    assert events_read[-4]["refusal"] == delta_text(events_read, "refusal") == "I won't."
    assert (final.output[0].content[0].type, final.output[0].content[0].refusal) == ("refusal", "I won't.")
    assert final.output_text == ""


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_an_item_before_the_answer(name):
    """Reasoning under either of the providers' names becomes a reasoning item that closes before the message."""
    events_read, final = client_view(
        chunk(role="assistant", content=None, **{name: "Let me "}),
        chunk(**{name: "see."}),
        chunk(content="42", **{name: None}),
        chunk("stop"),
        COUNTED,
    )

    assert kinds(events_read)[:6] == [
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
    ]
    thought, message = final.output
    assert (thought.type, thought.summary, thought.status) == ("reasoning", [], "completed")
    assert thought.content[0].text == delta_text(events_read, "reasoning_text") == "Let me see."
    assert final.output_text == message.content[0].text == "42"


def test_reasoning_under_both_names_appears_once():
    """A provider that sends both names must not double the reasoning."""
    events_read, _ = client_view(chunk(reasoning_content="so", reasoning="so"), chunk("stop", content="42"))

    assert delta_text(events_read, "reasoning_text") == "so"


def test_a_call_is_closed_when_the_next_one_begins():
    """The SDK's helper requires that complete calls are closed in order."""
    events_read, final = client_view(
        chunk(content="Let me see."),
        calls(0, "", "c1", "f"),
        calls(0, '{"a":'),
        calls(0, "1}"),
        calls(1, "{}", "c2", "g"),
        chunk("tool_calls"),
    )

    places = [event["output_index"] for event in events_read[3:-1]]
    assert places == sorted(places)
    assert kinds(events_read)[-8:-4] == kinds(events_read)[-4:]
    message, first, second = final.output
    assert message.content[0].text == "Let me see."
    assert (first.call_id, first.name, first.arguments) == ("c1", "f", '{"a":1}')
    assert (second.call_id, second.name, second.arguments) == ("c2", "g", "{}")


def test_interleaved_calls_stay_open_until_they_are_complete():
    """Each call keeps its own arguments, which are streamed as they arrive if the client asks for it."""
    events_read, final = client_view(
        calls(0, '{"a":', "c1", "f"),
        calls(1, "{", "c2", "g"),
        calls(0, "1}"),
        calls(2, '{"c":3}', "c3", "h"),
        calls(1, '"b":2}'),
        chunk("tool_calls"),
        include_arguments=True,
    )

    assert [call.arguments for call in final.output] == ['{"a":1}', '{"b":2}', '{"c":3}']
    deltas = [event["output_index"] for event in events_read if event["type"].endswith("arguments.delta")]
    assert deltas == [0, 1, 0, 2, 1]


def test_arguments_after_a_complete_call_are_ignored():
    """The call was closed as complete; the rest of the answer must survive."""
    _, final = client_view(
        calls(0, "{}", "c1", "f"), calls(1, "{", "c2", "g"), calls(0, '{"a":1}'), calls(1, "}"), chunk("tool_calls")
    )

    assert [(call.name, call.arguments) for call in final.output] == [("f", "{}"), ("g", "{}")]


def test_a_text_after_a_call_is_a_message_of_its_own():
    """Texts before and after a call keep their order and are not merged."""
    events_read, final = client_view(
        chunk(content="one"), calls(0, "{}", "c1", "f"), chunk(content="two"), chunk(content=" three"), chunk("stop")
    )

    assert [item.type for item in final.output] == ["message", "function_call", "message"]
    assert [final.output[place].content[0].text for place in (0, 2)] == ["one", "two three"]
    assert delta_text(events_read, "output_text") == final.output_text == "onetwo three"


def test_a_call_without_arguments_or_name_appears_at_the_end():
    """An incomplete call must not vanish from the answer."""
    _, final = client_view(calls(0, "", "c1", "f"), calls(1, "{}", "c2"), chunk("tool_calls"))

    assert [(call.name, call.arguments) for call in final.output] == [("f", "{}"), ("", "{}")]


def test_an_item_that_the_length_cut_is_incomplete():
    """A client must not run a call whose arguments were cut."""
    _, final = client_view(chunk(reasoning="so"), calls(0, '{"a":', "c1", "f"), chunk("length"), state=State.INCOMPLETE)

    assert [(item.type, item.status) for item in final.output] == [
        ("reasoning", "completed"),
        ("function_call", "incomplete"),
    ]


def test_a_single_text_is_stored_once():
    """The text is stored as the answer's text, so the body holds a message without it."""
    whole = read(chunk(content="hi"), chunk("stop"), COUNTED)[-1]

    assert whole.body["output"] == [{"type": "message"}]
    assert whole.body["usage"]["total_tokens"] == 5


def test_texts_around_a_call_have_positions_of_their_own():
    """Every item has its own output index, in the order of opening."""
    events_read, final = client_view(
        calls(0, "{}", "c1", "f"), chunk(content="after"), calls(1, "{}", "c2", "g"), chunk("tool_calls")
    )

    opened = [event["output_index"] for event in events_read if event["type"].endswith("item.added")]
    assert opened == [0, 1, 2]
    assert [item.type for item in final.output] == ["function_call", "message", "function_call"]
    assert final.output_text == "after"


def test_log_probabilities_arrive_with_their_text():
    """Log-probabilities are in the delta of their token and in the final part."""
    tokens = [{"token": text, "logprob": -0.1, "bytes": [ord(text)], "top_logprobs": []} for text in "hi"]
    payloads = [chunk(content=token["token"]) for token in tokens]
    for payload, token in zip(payloads, tokens, strict=True):
        payload["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
    events_read, final = client_view(*payloads, chunk("stop"))

    deltas = [event["logprobs"] for event in events_read if event["type"].endswith("output_text.delta")]
    assert deltas == [[tokens[0]], [tokens[1]]]
    assert [token.token for token in final.output[0].content[0].logprobs] == ["h", "i"]
    assert final.output_text == "hi"


def test_a_character_split_between_two_fragments_is_joined():
    """Half a character is neither valid UTF-8 nor valid JSON."""
    _, final = client_view(calls(0, '{"a":"\ud83d', "c1", "f"), calls(0, '\ude00"}'), chunk("tool_calls"))

    assert final.output[0].arguments == '{"a":"\U0001f600"}'


def test_usage_under_other_names_or_with_odd_details_is_read():
    """Malformed details of usage must not cost the counts."""
    usage = {"input_tokens": 3, "output_tokens": 2, "prompt_tokens_details": [1]}
    whole = read(chunk(content="hi"), chunk("stop"), COUNTED | {"usage": usage})[-1]

    assert whole.body["usage"]["total_tokens"] == 5
    assert whole.body["usage"]["input_tokens_details"] == {"cached_tokens": 0}


def test_spoken_words_are_a_text():
    """A response has no audio here, and a completed response without a word of the answer would hide it."""
    _, final = client_view(
        chunk(audio={"id": "a", "transcript": "hel"}), chunk(audio={"transcript": "lo", "data": "x"}), chunk("stop")
    )

    assert final.output_text == "hello"
