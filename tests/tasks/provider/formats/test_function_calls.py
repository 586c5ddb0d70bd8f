"""Which call a piece belongs to: as providers number and name their calls, some of them badly."""

import pytest

from tasks.provider.formats.chat_to_responses import TranslatingReader
from tasks.provider.formats.completion import CompletionReader

NULL = {"index": None}


def piece(arguments, name=None, call_id=None, **index):
    named = {"id": call_id, "type": "function"} if call_id is not None else {}
    return {**index, **named, "function": {"name": name, "arguments": arguments} if name else {"arguments": arguments}}


def called(reader, *pieces):
    """Id, name and arguments of each call of an answer that is made of these pieces."""
    deltas = [{"tool_calls": [one]} for one in pieces]
    for delta in deltas:
        list(reader.read({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
    list(reader.read({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}))
    body = list(reader.end())[-1].body
    if isinstance(reader, TranslatingReader):
        return [(call["call_id"], call["name"], call["arguments"]) for call in body["output"]]
    calls = body["choices"][0]["message"]["tool_calls"]
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


TWO = [("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')]


@pytest.mark.parametrize("reader", [CompletionReader, TranslatingReader])
@pytest.mark.parametrize(
    "pieces",
    [
        [piece('{"a":', "f", "c1", index=0), piece("1}", index=0), piece('{"b":2}', "g", "c2", index=1)],
        [
            piece('{"a":', "f", "c1", index=0),
            piece('{"b":', "g", "c2", index=1),
            piece("1}", index=0),
            piece("2}", index=1),
        ],
        [piece('{"a":1}', "f", "c1"), piece('{"b":2}', "g", "c2")],
        [piece('{"a":1}', "f", "c1", **NULL), piece('{"b":2}', "g", "c2", **NULL)],
        [piece('{"a":', "f", "c1"), piece("1}"), piece('{"b":', "g", "c2"), piece("2}")],
        [piece('{"a":1}', "f", "c1", index=0), piece('{"b":', "g", "c2", index=0), piece("2}", index=0)],
        [piece('{"a":', "f", "c1", index=0), piece("1}", "f", "c1", index=0), piece('{"b":2}', "g", "c2", index=1)],
        [piece('{"a":', "f", "c1", index=0), piece("1}", None, "", index=0), piece('{"b":2}', "g", "c2", index=1)],
    ],
    ids=["in turn", "mixed", "no index", "null", "no index in pieces", "one index", "ids repeated", "empty ids"],
)
def test_two_calls_stay_two(reader, pieces):
    assert called(reader(), *pieces) == TWO


@pytest.mark.parametrize("reader", [CompletionReader, TranslatingReader])
def test_calls_without_id_and_index_begin_with_their_names(reader):
    """Each gets an id: its output is given under it."""
    first, second = called(reader(), piece('{"a":1}', "f"), piece('{"b":2}', "g"))

    assert (first[1:], second[1:]) == (TWO[0][1:], TWO[1][1:])
    assert len({first[0], second[0], ""}) == 3


@pytest.mark.parametrize("reader", [CompletionReader, TranslatingReader])
def test_calls_that_share_an_id_are_told_apart_by_their_index(reader):
    """Some give the function's name for an id."""
    both = called(reader(), piece('{"a":1}', "f", "f", index=0), piece('{"b":2}', "f", "f", index=1))

    assert both == [("f", "f", '{"a":1}'), ("f", "f", '{"b":2}')]


@pytest.mark.parametrize("reader", [CompletionReader, TranslatingReader])
@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_an_id_that_comes_without_a_name_begins_no_call(reader, index):
    """Some give each piece an id of its own."""
    ((_, *call),) = called(reader(), piece('{"a":', "f", "c1", **index), piece("1}", None, "c2", **index))

    assert call == ["f", '{"a":1}']


@pytest.mark.parametrize("reader", [CompletionReader, TranslatingReader])
@pytest.mark.parametrize("name", ["g", "f"])
def test_calls_without_ids_that_share_an_index_begin_with_their_names(reader, name):
    """Also the same function twice, once the arguments of the first call are whole."""
    both = called(reader(), piece('{"a":1}', "f", index=0), piece('{"b":', name, index=0), piece("2}", index=0))

    assert [call[1:] for call in both] == [("f", '{"a":1}'), (name, '{"b":2}')]


@pytest.mark.parametrize("reader", [CompletionReader, TranslatingReader])
@pytest.mark.parametrize("rest", ['{"b":2}}', "1}", ""])
def test_a_name_that_is_repeated_in_each_piece_begins_no_call(reader, rest):
    ((_, *call),) = called(reader(), piece('{"a":', "f", index=0), piece(rest, "f", index=0))

    assert call == ["f", '{"a":' + rest]


def test_calls_of_two_tools_of_ones_own_stay_two():
    """They have no function; their ids and names say where each begins."""
    said = [{"index": 0, "id": name, "custom": {"name": name, "input": "a"}} for name in ("c1", "c2")]
    reader = CompletionReader()
    for one in said:
        list(reader.read({"choices": [{"index": 0, "delta": {"tool_calls": [one]}, "finish_reason": "tool_calls"}]}))

    calls = list(reader.end())[-1].body["choices"][0]["message"]["tool_calls"]
    assert [call["custom"] for call in calls] == [one["custom"] for one in said]
