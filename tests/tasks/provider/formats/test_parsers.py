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


CHAT_PARSERS = [ChatParser, CompletionParser, ChatToResponseParser]


@pytest.mark.parametrize("parser", [ChatParser, ChatToResponseParser])
def test_only_the_first_choice_is_the_answer_of_a_format_with_one(parser):
    """The texts of two choices must not be mixed."""
    deltas = read(parser(), chunk(content="A"), chunk(content="B", index=1), chunk(content="a"), chunk("stop"))

    assert "".join(delta.text for delta in deltas) == "Aa"


@pytest.mark.parametrize("parser", CHAT_PARSERS)
@pytest.mark.parametrize("field", [{"message": {"content": "hi"}}, {"text": "hi"}])
def test_a_message_or_text_in_place_of_a_delta_is_read(parser, field):
    """After deltas, a message repeats them, and only its finish reason counts."""
    whole = {"model": "m", "choices": [{"index": 0, "finish_reason": "stop", **field}]}

    assert "".join(delta.text for delta in read(parser(), whole)) == "hi"
    assert "".join(delta.text for delta in read(parser(), chunk(content="hi"), whole)) == "hi"


def test_a_completion_with_two_choices_is_complete_after_both():
    """A connection that breaks between the two must not end the answer."""
    parser = CompletionParser(choices=2)
    list(parser.parse(chunk("stop", content="A")))
    assert not parser.is_complete
    list(parser.parse(chunk("stop", content="B", index=1)))

    assert parser.is_complete


def test_the_older_form_of_a_call_is_converted():
    """It has neither an index nor an id."""
    parser = ChatToResponseParser()
    fragments = [{"name": "f", "arguments": ""}, {"arguments": '{"a"'}, {"arguments": ":1}"}]
    chunks = [chunk(function_call=fragment) for fragment in fragments]
    (item,) = read(parser, *chunks, chunk("function_call"))[-1].body["output"]

    assert (item["name"], item["arguments"], item["status"]) == ("f", '{"a":1}', "completed")


SAME_INDEX = [("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')]


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        (
            [
                {"id": "c1", **call(0, name="f", arguments='{"a":1}')},
                {"id": "c2", **call(0, name="g", arguments='{"b":2}')},
            ],
            SAME_INDEX,
        ),
        ([{"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}], SAME_INDEX[:1]),
        ([{"id": "c1", **call(0, name="f", arguments='{"a"')}, {"id": "c1", **call(0, name="f", arguments=":1}")}],
         SAME_INDEX[:1]),
        ([{**call(0, name="f", arguments={"a": 1}), "id": "c1"}], [("c1", "f", '{"a": 1}')]),
        ([{**call(0, name="f"), "id": "c1"}], [("c1", "f", "{}")]),
        ([{**call(0, name="f", arguments=None), "id": "c1"}], [("c1", "f", "{}")]),
    ],
)  # fmt: skip
def test_streamed_calls_are_those_of_the_whole_answer(fragments, expected):
    """One index for all, none at all, repeated names and ids, arguments as an object or missing."""
    parser = CompletionParser()
    deltas = read(parser, *[chunk(tool_calls=[fragment]) for fragment in fragments], chunk("tool_calls"))
    calls = deltas[-1].body["choices"][0]["message"]["tool_calls"]
    streamed = [delta.data["choices"][0]["delta"]["tool_calls"][0] for delta in deltas[: len(fragments)]]

    assert [(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in calls] == expected
    assert [one["index"] for one in streamed] == sorted(one["index"] for one in streamed)
    assert [(one["id"], one["function"]["name"]) for one in streamed if "id" in one] == [one[:2] for one in expected]


def test_calls_without_ids_have_the_same_generated_id_in_the_stream_and_the_answer():
    """A client refers to the call by the id that it has read."""
    deltas = read(CompletionParser(), chunk(tool_calls=[call(0, name="f", arguments="{}")]), chunk("tool_calls"))
    (streamed,) = deltas[0].data["choices"][0]["delta"]["tool_calls"]

    assert streamed["id"] == deltas[-1].body["choices"][0]["message"]["tool_calls"][0]["id"]
    assert streamed["id"].startswith("call_")
