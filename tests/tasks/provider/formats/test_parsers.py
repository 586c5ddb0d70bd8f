"""A provider's stream, parsed to texts, data and the complete body."""

import pytest

from jobs.errors import ProviderRejected, ProviderRetryable
from tasks.provider.formats.chat import ChatParser
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser
from tasks.provider.formats.response import ResponseParser


def read(parser, *payloads):
    deltas = [delta for payload in payloads for delta in parser.parse(payload)]
    return deltas + list(parser.finish(False))


def chunk(finish_reason=None, index=0, **delta):
    return {"id": "x", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": finish_reason}]}


def call(index, **function):
    return {"index": index, "function": function}


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COUNTED = {"model": "m", "choices": [], "usage": USAGE}


@pytest.mark.parametrize("parser", [ChatParser, CompletionParser, ChatToResponseParser, ResponseParser])
def test_a_stream_that_ends_without_its_last_event_was_cut(parser):
    """A cut answer must be retried, not stored as complete."""
    with pytest.raises(ProviderRetryable):
        parser().finish(False)


@pytest.mark.parametrize("parser", [ChatParser, CompletionParser, ChatToResponseParser])
def test_an_empty_finish_reason_ends_nothing(parser):
    """Some providers send an empty reason with each chunk; without another reason the stream was cut."""
    with pytest.raises(ProviderRetryable):
        read(parser(), chunk("", content="a"), chunk("", content="b"))


def test_a_completion_has_text_alone_and_other_chunks_unchanged():
    """Plain tokens are stored as text, chunks with more are forwarded, and the body is complete."""
    parser = CompletionParser()
    first, plain, last, counted, whole = read(
        parser, chunk(role="assistant", content=""), chunk(content="hi"), chunk("stop"), COUNTED
    )

    assert (first.text, first.data["choices"][0]["delta"]) == ("", {"role": "assistant", "content": ""})
    assert (plain.text, plain.data) == ("hi", None)
    assert last.data["choices"][0]["finish_reason"] == "stop"
    assert (counted.data, counted.usage.total_tokens) == (None, 5)
    (choice,) = whole.body["choices"]
    assert choice["message"] == {"role": "assistant", "content": "hi", "refusal": None}
    assert whole.body["usage"] == USAGE


def test_a_completion_is_accumulated_with_extensions_and_all_choices():
    """Calls, reasoning and further choices survive accumulation."""
    parser = CompletionParser()
    *deltas, whole = read(
        parser,
        chunk(role="assistant", tool_calls=[{"id": "c1", "type": "function", **call(0, name="f", arguments="")}]),
        chunk(tool_calls=[{"id": "c1", **call(0, name="f", arguments='{"a":')}]),
        chunk(tool_calls=[call(0, arguments="1}")], reasoning_content="so"),
        chunk(index=1, content="other"),
        chunk("stop", index=1),
        chunk("tool_calls"),
    )

    first, second = whole.body["choices"]
    function = {"name": "f", "arguments": '{"a":1}'}
    assert first["message"]["tool_calls"] == [{"id": "c1", "type": "function", "function": function}]
    assert first["message"]["reasoning_content"] == "so"
    assert (second["index"], second["message"]["content"]) == (1, "other")
    assert all(delta.data is not None and delta.text == "" for delta in deltas)


PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": "", "annotations": []}


def event(kind, **fields):
    return {"type": f"response.{kind}", "sequence_number": 7, **fields}


def test_a_response_is_forwarded_and_a_text_is_stored_once():
    """Events pass unchanged except for texts that the deltas have already delivered."""
    opened = [
        event("created", response={"model": "m"}),
        event("output_item.added", output_index=0, item={"id": "msg_1", "type": "message", "content": []}),
        event("content_part.added", **PLACE, part=PART),
    ]
    text_deltas = [
        event("output_text.delta", **PLACE, delta="hi", logprobs=[], obfuscation="xx"),
        event("output_text.delta", **PLACE, delta="!", logprobs=[{"token": "!"}]),
    ]
    whole = PART | {"text": "hi!"}
    closed = [
        event("output_text.done", **PLACE, text="hi!"),
        event("content_part.done", **PLACE, part=whole),
        event("output_item.done", output_index=0, item={"id": "msg_1", "type": "message", "content": [whole]}),
        event("completed", response={"status": "completed", "model": "m", "output": [], "usage": None}),
    ]
    deltas = read(ResponseParser(), *opened, *text_deltas, *closed)

    assert [delta.text for delta in deltas if delta.text] == ["hi", "!"]
    plain, probable = (delta for delta in deltas if delta.text)
    assert plain.data is None
    assert probable.data == {"type": "response.output_text.delta", **PLACE, "logprobs": [{"token": "!"}]}
    done = [delta.data for delta in deltas if delta.data and delta.data["type"].endswith("done")]
    assert done[0] == {"type": "response.output_text.done", **PLACE}
    assert done[1]["part"] == done[2]["item"]["content"][0] == {"type": "output_text", "annotations": []}
    assert not any("sequence_number" in (delta.data or {}) for delta in deltas)
    assert (deltas[-1].finish_reason, deltas[-1].body["status"]) == ("stop", "completed")


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        ("server_error", ProviderRetryable),
        ("rate_limit_exceeded", ProviderRetryable),
        ("invalid_prompt", ProviderRejected),
    ],
)
def test_a_response_that_failed_at_the_provider_is_an_error_of_the_attempt(code, raised):
    """The provider's error code decides whether the attempt is retried."""
    with pytest.raises(raised):
        ResponseParser().parse(event("failed", response={"error": {"code": code, "message": "secret"}}))
    with pytest.raises(raised):
        ResponseParser().parse({"type": "error", "code": code, "message": "secret"})
