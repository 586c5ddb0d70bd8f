"""Malformed answers of a provider: each is repaired, ignored or reported as broken; none crashes the worker."""

import json
import math

import httpx2
import pytest

from jobs.errors import ProviderBroken
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.vector_encoding import unpack
from tasks.provider.answer_stream import _checked
from tasks.provider.client import _read_embeddings
from tasks.provider.formats.chat import ChatParser
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser
from tasks.provider.limits import read_event

REQUEST = EmbeddingsTask(kind="embeddings", input=("a",))
PARSERS = [ChatParser, CompletionParser, ChatToResponseParser]


def chunk(**choice):
    return {"model": "m", "choices": [choice]}


def text_of(parser, *deltas):
    chunks = [chunk(delta={"content": delta}) for delta in deltas]
    return "".join(delta.text for payload in chunks for delta in _checked(parser.parse, payload))


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (("a\ud83d", "\ude00b"), "a\U0001f600b"),
        (("\ud83d\ude00",), "\U0001f600"),
        (("\ud83d", "", "\ude00"), "\U0001f600"),
        (("a\ude00b",), "a\ufffdb"),
        (("\ud83d", "x"), "\ufffdx"),
        (("\ud83d", "\ud83d", "\ude00"), "\ufffd\U0001f600"),
        (("plain", " ascii"), "plain ascii"),
    ],
)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_split_character_is_joined_and_a_lone_half_is_replaced(parser, deltas, expected):
    """JSON may escape the two halves of a character in separate chunks; the result must always be valid text."""
    assert text_of(parser(), *deltas) == expected
    text_of(parser(), *deltas).encode()


@pytest.mark.parametrize(
    "malformed",
    [
        None,
        [],
        "text",
        {"choices": None, "model": 123},
        {"choices": 5},
        {"choices": ["x"]},
        {"model": 123, "choices": []},
        chunk(finish_reason=5),
        chunk(delta={"content": 5}),
        chunk(delta="x"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("parser", PARSERS)
def test_a_malformed_chunk_is_reported_as_broken(parser, malformed):
    """The job fails with a clear code; a retry would get the same answer."""
    with pytest.raises(ProviderBroken):
        _checked(parser().parse, malformed)


@pytest.mark.parametrize(
    "harmless",
    [
        {"type": "ping"},
        {"model": "m", "choices": None},
        chunk(index=None, delta={"content": ""}),
        chunk(delta={"content": [{"type": "thinking", "thinking": []}]}),
        *(
            {"choices": [], "usage": usage}
            for usage in (
                {"total_tokens": 7},
                {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None},
                {"prompt_tokens": -1},
                {"prompt_tokens": "many"},
                {"prompt_tokens": math.inf},
                [1],
            )
        ),
    ],
    ids=repr,
)
@pytest.mark.parametrize("parser", PARSERS)
def test_harmless_malformed_data_does_not_fail_the_answer(parser, harmless):
    """The answer has been paid for: unknown events are skipped and unreadable usage is ignored."""
    parser = parser()
    payloads = [chunk(delta={"content": "hi"}), harmless, chunk(delta={}, finish_reason="stop")]
    deltas = [delta for payload in payloads for delta in _checked(parser.parse, payload)] + _checked(
        parser.finish, False
    )

    assert "".join(delta.text for delta in deltas) == "hi"
    assert {delta.usage for delta in deltas} == {None}


def nested(levels):
    return json.loads('{"a":' * levels + "1" + "}" * levels)


def completed(*payloads):
    parser = CompletionParser()
    deltas = [
        delta
        for payload in (*payloads, chunk(delta={}, finish_reason="stop"))
        for delta in _checked(parser.parse, payload)
    ]
    return deltas + _checked(parser.finish, False)


@pytest.mark.parametrize("levels", [101, 200, 900])
def test_data_nested_too_deeply_to_be_read_again_is_broken(levels):
    """Stored once, such data would fail every later read of the job."""
    deep = nested(levels)

    with pytest.raises(ProviderBroken):
        completed(chunk(delta={"content": "x"}, more=deep))
    with pytest.raises(ProviderBroken):
        completed({"choices": [], "more": deep})


def test_data_nested_too_deeply_to_be_parsed_is_broken():
    """A RecursionError of the JSON parser must not crash the attempt."""
    with pytest.raises(ProviderBroken):
        read_event(b"[" * 100_000)


def test_many_shallow_values_are_not_too_deep():
    """The depth check counts levels, not brackets."""
    wide = chunk(delta={"content": "x"}, more=[nested(50)] * 100)

    assert completed(wide)[0].text == "x"


@pytest.mark.parametrize("parser", PARSERS)
def test_half_a_character_at_the_end_is_replaced(parser):
    """The other half will not arrive, and half a character cannot be encoded as UTF-8."""
    parser = parser()
    payloads = [chunk(delta={"content": "a\ud83d"}), chunk(delta={}, finish_reason="stop")]
    deltas = [delta for payload in payloads for delta in _checked(parser.parse, payload)] + _checked(
        parser.finish, False
    )

    assert "".join(delta.text for delta in deltas) == "a\ufffd"


def reply(data):
    return httpx2.Response(200, content=json.dumps({"data": data, "model": "e"}))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [{"index": 0}],
        [{"index": 0, "embedding": [1.0, math.nan]}],
        [{"index": 0, "embedding": [math.inf]}],
        [{"index": 0, "embedding": "AADAfw=="}],  # base64 of one float32 NaN
        [{"index": 0, "embedding": "not base64"}],
        [{"index": 0, "embedding": ""}],
        [{"index": 0, "embedding": []}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0]}],
    ],
    ids=repr,
)
def test_malformed_vectors_are_broken(data):
    """NaN and Infinity included: JSON does not have them, and strict parsers would reject our answer."""
    with pytest.raises(ProviderBroken):
        _read_embeddings(reply(data), REQUEST)


@pytest.mark.parametrize("second", [[1.0], [1.0, 2.0, 3.0], "AACAPw=="])
def test_vectors_of_unequal_length_in_one_answer_are_broken(second):
    """Vectors of different lengths cannot be compared with each other."""
    data = [{"index": 0, "embedding": [0.5, 1.0]}, {"index": 1, "embedding": second}]
    with pytest.raises(ProviderBroken):
        _read_embeddings(reply(data), EmbeddingsTask(kind="embeddings", input=("a", "b")))


def test_vectors_sent_as_numbers_are_stored_as_base64():
    """Some servers ignore encoding_format; their vectors must be usable like any others."""
    answer = _read_embeddings(reply([{"index": 0, "embedding": [0.5, -1]}]), REQUEST)

    assert list(unpack(answer.vectors[0])) == [0.5, -1.0]
