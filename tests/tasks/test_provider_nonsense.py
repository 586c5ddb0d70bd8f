"""What a provider may send and no provider should: each is mended or ends as broken, none reaches the worker."""

import math

import pytest

from jobs.errors import ProviderBroken
from jobs.requests import EmbeddingsTask
from jobs.vectors import unpack
from tasks.provider import _read_embeddings, _sound
from tasks.upstream.chat import ChatReader
from tasks.upstream.completion import CompletionReader
from tasks.upstream.from_chat import TranslatingReader

REQUEST = EmbeddingsTask(kind="embeddings", input=("a",))
READERS = [ChatReader, CompletionReader, TranslatingReader]


def chunk(**choice):
    return {"model": "m", "choices": [choice]}


def text_of(reader, *pieces):
    chunks = [chunk(delta={"content": piece}) for piece in pieces]
    return "".join(piece.text for said in chunks for piece in _sound(reader.read, said))


@pytest.mark.parametrize(
    ("pieces", "whole"),
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
@pytest.mark.parametrize("reader", READERS)
def test_a_character_cut_in_two_is_joined_and_half_a_one_is_marked(reader, pieces, whole):
    """JSON may escape each half of a character in a chunk of its own; what comes out is always text."""
    assert text_of(reader(), *pieces) == whole
    text_of(reader(), *pieces).encode()


@pytest.mark.parametrize(
    "nonsense",
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
        chunk(delta={"content": [{"type": "text"}]}),
        chunk(delta="x"),
        {"choices": [], "usage": {"prompt_tokens": -1}},
        {"choices": [], "usage": {"prompt_tokens": "many"}},
        {"choices": [], "usage": {"prompt_tokens": math.inf}},
        {"choices": [], "usage": [1]},
    ],
    ids=repr,
)
@pytest.mark.parametrize("reader", READERS)
def test_a_chunk_that_makes_no_sense_is_broken(reader, nonsense):
    with pytest.raises(ProviderBroken):
        _sound(reader().read, nonsense)


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
    """NaN and Infinity too: JSON has no word for them, and every reader but Python would choke."""
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
