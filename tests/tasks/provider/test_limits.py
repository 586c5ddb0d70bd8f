"""How much an answer may grow: what was said counts, the JSON around it does not, and what was said stays said."""

import json

import pytest

from tasks.provider.client import AnswerStream
from tasks.provider.formats.chat import ChatParser
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser
from tasks.provider.formats.response import ResponseParser

PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def chunk(finish_reason=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def arguments(said, **more):
    return chunk(tool_calls=[{"index": 0, **more, "function": {"name": "f", "arguments": said}}])


def event(kind, **fields):
    return {"type": f"response.{kind}", **fields}


def read_stream(parser, *said):
    """All deltas of a stream, and whether its end was waited for."""
    answer_stream = AnswerStream()
    answer_stream.parser = parser
    stream = b"".join(b"data: %s\n\n" % json.dumps(one).encode() for one in said)
    deltas = [*answer_stream.deltas(stream)]
    return [*deltas, *answer_stream.flush()], answer_stream.is_over


def last(deltas, name):
    return [value for delta in deltas if (value := getattr(delta, name)) is not None][-1]


def text(deltas):
    return "".join(delta.text for delta in deltas)


TEXT_EVENTS = [
    event("output_item.added", output_index=0, item={"id": "msg_1", "type": "message", "content": []}),
    event("content_part.added", **PLACE, part={"type": "output_text", "text": ""}),
    *(event("output_text.delta", **PLACE, delta=said) for said in ("abc", "defg", "hij")),
]


@pytest.mark.parametrize(
    ("parser", "said"),
    [
        *(
            (parser, [chunk(content="abc"), chunk(content="defg"), chunk(content="hij")])
            for parser in (ChatParser, CompletionParser, ChatToResponseParser)
        ),
        (ResponseParser, TEXT_EVENTS),
    ],
)
def test_a_text_ends_at_the_limit_to_the_letter(parser, said):
    """It ends there for who streams it and for who reads the whole, and nothing more is waited for."""
    deltas, is_over = read_stream(parser(5), *said)

    assert text(deltas) == "abcde"
    assert last(deltas, "finish_reason") == "length"
    assert is_over
    bodies_json = json.dumps([delta.body for delta in deltas])
    assert "f" not in bodies_json.replace("finish_reason", "").replace("refusal", "")


@pytest.mark.parametrize("parser", [ChatParser, CompletionParser, ChatToResponseParser])
def test_a_text_as_long_as_the_limit_is_whole(parser):
    deltas, is_over = read_stream(parser(5), chunk(content="abc"), chunk(content="de"), chunk("stop"))

    assert (text(deltas), last(deltas, "finish_reason"), is_over) == ("abcde", "stop", False)


def test_a_call_of_a_completion_counts_as_its_arguments():
    """Thousands of deltas of some letters each are a long call, and no longer than that."""
    deltas, _ = read_stream(CompletionParser(4_000), *[arguments("abcd", id="c1")] * 1_000, chunk("tool_calls"))
    (choice,) = last(deltas, "body")["choices"]

    assert (choice["finish_reason"], last(deltas, "finish_reason")) == ("tool_calls", "tool_calls")
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "abcd" * 1_000


def test_a_call_that_is_too_long_is_kept_as_far_as_it_came():
    chunks = [arguments("abcd", id="c1")] * 3
    completion, _ = read_stream(CompletionParser(6), *chunks)
    translated, _ = read_stream(ChatToResponseParser(6), *chunks)

    (choice,) = last(completion, "body")["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "abcdab"
    last_fragment = last(completion, "data")["choices"][0]["delta"]["tool_calls"][0]
    assert last_fragment["function"]["arguments"] == "ab"
    (call,) = last(translated, "body")["output"]
    assert (call["status"], call["arguments"]) == ("incomplete", "abcdab")


def test_a_thought_and_a_refusal_count():
    deltas, _ = read_stream(CompletionParser(5), chunk(reasoning_content="abc"), chunk(refusal="defg"))
    (choice,) = last(deltas, "body")["choices"]

    assert (choice["message"]["reasoning_content"], choice["message"]["refusal"]) == ("abc", "de")


def test_what_goes_beside_the_answer_has_a_limit_of_its_own():
    """A generous one: probabilities are many times as long as what they are of."""
    token = {"token": "abcd", "logprob": -0.1, "top_logprobs": [{"token": "abcd" * 300, "logprob": -0.1}]}
    said = {"index": 0, "delta": {}, "logprobs": {"content": [token]}}
    chunks = [{"model": "m", "choices": [said]}] * 2_000
    whole, _ = read_stream(CompletionParser(100), *chunks[:500], chunk("stop"))
    cut, is_over = read_stream(CompletionParser(100), *chunks)

    assert last(whole, "finish_reason") == "stop"
    assert (last(cut, "finish_reason"), is_over) == ("length", True)
    assert 500 < len(cut) < 2_000


def test_a_response_that_is_too_long_keeps_its_items():
    """Finished ones, and those that were open as far as they came."""
    call = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f"}
    deltas, _ = read_stream(
        ResponseParser(9),
        event("output_item.added", output_index=0, item=call | {"arguments": ""}),
        event("function_call_arguments.delta", output_index=0, item_id="fc_1", delta="{}"),
        event("output_item.done", output_index=0, item=call | {"arguments": "{}", "status": "completed"}),
        event("output_item.added", output_index=1, item=call | {"id": "fc_2", "arguments": ""}),
        event("function_call_arguments.delta", output_index=1, item_id="fc_2", delta='{"a":'),
        event("function_call_arguments.delta", output_index=1, item_id="fc_2", delta='"b"}'),
    )

    assert last(deltas, "finish_reason") == "length"
    assert last(deltas, "body")["output"] == [
        call | {"arguments": "{}", "status": "completed"},
        call | {"id": "fc_2", "arguments": '{"a":"b', "status": "incomplete"},
    ]


def test_a_text_that_was_cut_is_kept_in_its_message():
    deltas, _ = read_stream(ResponseParser(5), *TEXT_EVENTS)
    (message,) = last(deltas, "body")["output"]

    assert (message["id"], message["status"], message["content"][0]["text"]) == ("msg_1", "incomplete", "abcde")


def test_a_thought_that_was_cut_is_kept_in_its_item():
    """Where it was told, where it was summed up, and beside another one."""
    thought = {"type": "reasoning", "summary": []}
    deltas, _ = read_stream(
        ResponseParser(9),
        *(event("output_item.added", output_index=n, item=thought | {"id": f"rs_{n}"}) for n in (0, 1)),
        event("reasoning_summary_text.delta", output_index=0, summary_index=1, delta="c"),
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="ab"),
        event("reasoning_text.delta", output_index=1, content_index=0, delta="def"),
        event("reasoning_text.delta", output_index=1, content_index=0, delta="ghijk"),
    )

    summary = [{"type": "summary_text", "text": text} for text in ("ab", "c")]
    content = [{"type": "reasoning_text", "text": "defghi"}]
    assert last(deltas, "body")["output"] == [
        thought | {"id": "rs_0", "status": "incomplete", "summary": summary},
        thought | {"id": "rs_1", "status": "incomplete", "content": content},
    ]
