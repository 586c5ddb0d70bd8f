"""The size limit of an answer: its text counts, the JSON around it does not, and text within the limit is kept."""

import json

import pytest

from tasks.provider.answer_stream import AnswerStream
from tasks.provider.formats.chat import ChatParser
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser
from tasks.provider.formats.response import ResponseParser

PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}


def chunk(finish_reason=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


def arguments(fragment, **fields):
    return chunk(tool_calls=[{"index": 0, **fields, "function": {"name": "f", "arguments": fragment}}])


def event(kind, **fields):
    return {"type": f"response.{kind}", **fields}


def read_stream(parser, *payloads):
    """All deltas of a stream, and whether its end was known before the connection closed."""
    answer_stream = AnswerStream()
    answer_stream.parser = parser
    stream = b"".join(b"data: %s\n\n" % json.dumps(payload).encode() for payload in payloads)
    deltas = [*answer_stream.deltas(stream)]
    answer_stream.end()
    return [*deltas, *answer_stream.flush()], answer_stream.is_over


def last(deltas, name):
    return [value for delta in deltas if (value := getattr(delta, name)) is not None][-1]


def text(deltas):
    return "".join(delta.text for delta in deltas)


TEXT_EVENTS = [
    event("output_item.added", output_index=0, item={"id": "msg_1", "type": "message", "content": []}),
    event("content_part.added", **PLACE, part={"type": "output_text", "text": ""}),
    *(event("output_text.delta", **PLACE, delta=text) for text in ("abc", "defg", "hij")),
]


@pytest.mark.parametrize(
    ("parser", "payloads"),
    [
        *(
            (parser, [chunk(content="abc"), chunk(content="defg"), chunk(content="hij")])
            for parser in (ChatParser, CompletionParser, ChatToResponseParser)
        ),
        (ResponseParser, TEXT_EVENTS),
    ],
)
def test_a_text_is_cut_exactly_at_the_limit(parser, payloads):
    """Streaming clients and clients that read the result get the same text, and the stream ends there."""
    deltas, is_over = read_stream(parser(5), *payloads)

    assert text(deltas) == "abcde"
    assert last(deltas, "finish_reason") == "length"
    assert is_over
    bodies_json = json.dumps([delta.body for delta in deltas])
    assert "f" not in bodies_json.replace("finish_reason", "").replace("refusal", "")


@pytest.mark.parametrize("parser", [ChatParser, CompletionParser, ChatToResponseParser])
def test_a_text_as_long_as_the_limit_is_complete(parser):
    """A complete answer must not be marked as cut off."""
    deltas, is_over = read_stream(parser(5), chunk(content="abc"), chunk(content="de"), chunk("stop"))

    assert (text(deltas), last(deltas, "finish_reason"), is_over) == ("abcde", "stop", False)


def test_a_function_call_counts_only_its_arguments():
    """A long call arrives in thousands of small deltas; their JSON must not use up the limit."""
    deltas, _ = read_stream(CompletionParser(4_000), *[arguments("abcd", id="c1")] * 1_000, chunk("tool_calls"))
    (choice,) = last(deltas, "body")["choices"]

    assert (choice["finish_reason"], last(deltas, "finish_reason")) == ("tool_calls", "tool_calls")
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == "abcd" * 1_000


def test_a_function_call_beyond_the_limit_keeps_its_arguments_up_to_there():
    """The partial call is marked as incomplete in both formats."""
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


def test_reasoning_and_refusals_count_towards_the_limit():
    """Otherwise an answer without text could grow without bound."""
    deltas, _ = read_stream(CompletionParser(5), chunk(reasoning_content="abc"), chunk(refusal="defg"))
    (choice,) = last(deltas, "body")["choices"]

    assert (choice["message"]["reasoning_content"], choice["message"]["refusal"]) == ("abc", "de")


def test_data_beside_the_text_has_its_own_limit():
    """Log probabilities are many times as long as their text: the limit allows for that and still bounds them."""
    token = {"token": "abcd", "logprob": -0.1, "top_logprobs": [{"token": "abcd" * 300, "logprob": -0.1}]}
    choice = {"index": 0, "delta": {}, "logprobs": {"content": [token]}}
    chunks = [{"model": "m", "choices": [choice]}] * 2_000
    complete, _ = read_stream(CompletionParser(100), *chunks[:500], chunk("stop"))
    cut, is_over = read_stream(CompletionParser(100), *chunks)

    assert last(complete, "finish_reason") == "stop"
    assert (last(cut, "finish_reason"), is_over) == ("length", True)
    assert 500 < len(cut) < 2_000


def test_a_response_beyond_the_limit_keeps_its_items():
    """Finished items are unchanged. Open items keep the received part and are marked as incomplete."""
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
    """The stored response shows the same text as the stream."""
    deltas, _ = read_stream(ResponseParser(5), *TEXT_EVENTS)
    (message,) = last(deltas, "body")["output"]

    assert (message["id"], message["status"], message["content"][0]["text"]) == ("msg_1", "incomplete", "abcde")


def test_reasoning_that_was_cut_is_kept_in_its_item():
    """Full reasoning text and summaries stay apart, each in the item it belongs to."""
    reasoning = {"type": "reasoning", "summary": []}
    deltas, _ = read_stream(
        ResponseParser(9),
        *(event("output_item.added", output_index=n, item=reasoning | {"id": f"rs_{n}"}) for n in (0, 1)),
        event("reasoning_summary_text.delta", output_index=0, summary_index=1, delta="c"),
        event("reasoning_summary_text.delta", output_index=0, summary_index=0, delta="ab"),
        event("reasoning_text.delta", output_index=1, content_index=0, delta="def"),
        event("reasoning_text.delta", output_index=1, content_index=0, delta="ghijk"),
    )

    summary = [{"type": "summary_text", "text": text} for text in ("ab", "c")]
    content = [{"type": "reasoning_text", "text": "defghi"}]
    assert last(deltas, "body")["output"] == [
        reasoning | {"id": "rs_0", "status": "incomplete", "summary": summary},
        reasoning | {"id": "rs_1", "status": "incomplete", "content": content},
    ]
