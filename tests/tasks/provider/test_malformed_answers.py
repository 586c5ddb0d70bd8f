"""What a provider may send and no provider should: each is mended or ends as broken, none reaches the worker."""

import json
import math

import pytest

from jobs.errors import ProviderBroken
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.vectors import unpack
from tasks.provider.client import _checked, _read_embeddings
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
    return "".join(delta.text for said in chunks for delta in _checked(parser.parse, said))


@pytest.mark.parametrize(
    ("deltas", "whole"),
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
def test_a_character_cut_in_two_is_joined_and_half_a_one_is_marked(parser, deltas, whole):
    """JSON may escape each half of a character in a chunk of its own; what comes out is always text."""
    assert text_of(parser(), *deltas) == whole
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
def test_a_chunk_that_makes_no_sense_is_broken(parser, malformed):
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
def test_an_answer_outlives_what_says_nothing(parser, harmless):
    """It has been paid for, and the client reads past all these."""
    parser = parser()
    said = [chunk(delta={"content": "hi"}), harmless, chunk(delta={}, finish_reason="stop")]
    deltas = [delta for one in said for delta in _checked(parser.parse, one)] + _checked(parser.finish)

    assert "".join(delta.text for delta in deltas) == "hi"
    assert {delta.usage for delta in deltas} == {None}


def nested(levels):
    return json.loads('{"a":' * levels + "1" + "}" * levels)


def completed(*said):
    parser = CompletionParser()
    deltas = [delta for one in (*said, chunk(delta={}, finish_reason="stop")) for delta in _checked(parser.parse, one)]
    return deltas + _checked(parser.finish)


@pytest.mark.parametrize("levels", [101, 200, 900])
def test_what_is_too_deep_to_be_read_again_is_broken(levels):
    """Whoever tells it would fail at it, each time it is asked for."""
    deep = nested(levels)

    with pytest.raises(ProviderBroken):
        completed(chunk(delta={"content": "x"}, more=deep))
    with pytest.raises(ProviderBroken):
        completed({"choices": [], "more": deep})


def test_what_is_too_deep_to_be_read_at_all_is_broken():
    with pytest.raises(ProviderBroken):
        read_event(b"[" * 100_000)


def test_what_is_wide_is_not_deep():
    wide = chunk(delta={"content": "x"}, more=[nested(50)] * 100)

    assert completed(wide)[0].text == "x"


@pytest.mark.parametrize("parser", PARSERS)
def test_a_half_character_at_the_end_is_marked(parser):
    parser = parser()
    said = [chunk(delta={"content": "a\ud83d"}), chunk(delta={}, finish_reason="stop")]
    deltas = [delta for one in said for delta in _checked(parser.parse, one)] + _checked(parser.finish)

    assert "".join(delta.text for delta in deltas) == "a\ufffd"


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
def test_vectors_that_make_no_sense_are_broken(data):
    """NaN and Infinity too: JSON has no word for them, and every parser but Python would choke."""
    with pytest.raises(ProviderBroken):
        _read_embeddings({"data": data, "model": "e"}, REQUEST)


@pytest.mark.parametrize("second", [[1.0], [1.0, 2.0, 3.0], "AACAPw=="])
def test_vectors_of_unequal_length_in_one_answer_are_broken(second):
    """They could never be compared."""
    data = [{"index": 0, "embedding": [0.5, 1.0]}, {"index": 1, "embedding": second}]
    with pytest.raises(ProviderBroken):
        _read_embeddings({"data": data, "model": "e"}, EmbeddingsTask(kind="embeddings", input=("a", "b")))


def test_numbers_from_a_server_that_knows_no_base64_are_kept_as_base64():
    answer = _read_embeddings({"data": [{"index": 0, "embedding": [0.5, -1]}], "model": "e"}, REQUEST)

    assert list(unpack(answer.vectors[0])) == [0.5, -1.0]
