"""Which call a fragment belongs to: as providers number and name their calls, some of them badly."""

import pytest

from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser

NULL = {"index": None}


def fragment(arguments, name=None, call_id=None, **index):
    named = {"id": call_id, "type": "function"} if call_id is not None else {}
    return {**index, **named, "function": {"name": name, "arguments": arguments} if name else {"arguments": arguments}}


def parsed_calls(parser, *fragments):
    """Id, name and arguments of each call of an answer that is made of these fragments."""
    deltas = [{"tool_calls": [one]} for one in fragments]
    for delta in deltas:
        list(parser.parse({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
    list(parser.parse({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}))
    body = list(parser.finish())[-1].body
    if isinstance(parser, ChatToResponseParser):
        return [(call["call_id"], call["name"], call["arguments"]) for call in body["output"]]
    calls = body["choices"][0]["message"]["tool_calls"]
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


TWO = [("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')]


@pytest.mark.parametrize("parser", [CompletionParser, ChatToResponseParser])
@pytest.mark.parametrize(
    "fragments",
    [
        [fragment('{"a":', "f", "c1", index=0), fragment("1}", index=0), fragment('{"b":2}', "g", "c2", index=1)],
        [
            fragment('{"a":', "f", "c1", index=0),
            fragment('{"b":', "g", "c2", index=1),
            fragment("1}", index=0),
            fragment("2}", index=1),
        ],
        [fragment('{"a":1}', "f", "c1"), fragment('{"b":2}', "g", "c2")],
        [fragment('{"a":1}', "f", "c1", **NULL), fragment('{"b":2}', "g", "c2", **NULL)],
        [fragment('{"a":', "f", "c1"), fragment("1}"), fragment('{"b":', "g", "c2"), fragment("2}")],
        [fragment('{"a":1}', "f", "c1", index=0), fragment('{"b":', "g", "c2", index=0), fragment("2}", index=0)],
        [
            fragment('{"a":', "f", "c1", index=0),
            fragment("1}", "f", "c1", index=0),
            fragment('{"b":2}', "g", "c2", index=1),
        ],
        [
            fragment('{"a":', "f", "c1", index=0),
            fragment("1}", None, "", index=0),
            fragment('{"b":2}', "g", "c2", index=1),
        ],
    ],
    ids=["in turn", "mixed", "no index", "null", "no index in fragments", "one index", "ids repeated", "empty ids"],
)
def test_two_calls_stay_two(parser, fragments):
    assert parsed_calls(parser(), *fragments) == TWO


@pytest.mark.parametrize("parser", [CompletionParser, ChatToResponseParser])
def test_calls_without_id_and_index_begin_with_their_names(parser):
    """Each gets an id: its output is given under it."""
    first, second = parsed_calls(parser(), fragment('{"a":1}', "f"), fragment('{"b":2}', "g"))

    assert (first[1:], second[1:]) == (TWO[0][1:], TWO[1][1:])
    assert len({first[0], second[0], ""}) == 3


@pytest.mark.parametrize("parser", [CompletionParser, ChatToResponseParser])
def test_calls_that_share_an_id_are_told_apart_by_their_index(parser):
    """Some give the function's name for an id."""
    both = parsed_calls(parser(), fragment('{"a":1}', "f", "f", index=0), fragment('{"b":2}', "f", "f", index=1))

    assert both == [("f", "f", '{"a":1}'), ("f", "f", '{"b":2}')]


@pytest.mark.parametrize("parser", [CompletionParser, ChatToResponseParser])
@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_an_id_that_comes_without_a_name_begins_no_call(parser, index):
    """Some give each fragment an id of its own."""
    ((_, *call),) = parsed_calls(parser(), fragment('{"a":', "f", "c1", **index), fragment("1}", None, "c2", **index))

    assert call == ["f", '{"a":1}']


@pytest.mark.parametrize("parser", [CompletionParser, ChatToResponseParser])
@pytest.mark.parametrize("name", ["g", "f"])
def test_calls_without_ids_that_share_an_index_begin_with_their_names(parser, name):
    """Also the same function twice, once the arguments of the first call are whole."""
    both = parsed_calls(
        parser(), fragment('{"a":1}', "f", index=0), fragment('{"b":', name, index=0), fragment("2}", index=0)
    )

    assert [call[1:] for call in both] == [("f", '{"a":1}'), (name, '{"b":2}')]


@pytest.mark.parametrize("parser", [CompletionParser, ChatToResponseParser])
@pytest.mark.parametrize("rest", ['{"b":2}}', "1}", ""])
def test_a_name_that_is_repeated_in_each_piece_begins_no_call(parser, rest):
    ((_, *call),) = parsed_calls(parser(), fragment('{"a":', "f", index=0), fragment(rest, "f", index=0))

    assert call == ["f", '{"a":' + rest]


def test_calls_of_two_tools_of_ones_own_stay_two():
    """They have no function; their ids and names say where each begins."""
    said = [{"index": 0, "id": name, "custom": {"name": name, "input": "a"}} for name in ("c1", "c2")]
    parser = CompletionParser()
    for one in said:
        list(parser.parse({"choices": [{"index": 0, "delta": {"tool_calls": [one]}, "finish_reason": "tool_calls"}]}))

    calls = list(parser.finish())[-1].body["choices"][0]["message"]["tool_calls"]
    assert [call["custom"] for call in calls] == [one["custom"] for one in said]
