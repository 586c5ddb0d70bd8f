"""Which function call a fragment belongs to, however badly a provider numbers and names its calls."""

import pytest

from openai_format.chunk_converter import ChunkConverter
from openai_format.completion_accumulator import CompletionAccumulator
from tests.openai_format.budgets import Unlimited

NULL = {"index": None}


def fragment(arguments, name=None, call_id=None, **index):
    named = {"id": call_id, "type": "function"} if call_id is not None else {}
    return {**index, **named, "function": {"name": name, "arguments": arguments} if name else {"arguments": arguments}}


def choices_of(fragments):
    """One choice per fragment, and a last one with the finish reason."""
    deltas = [*({"tool_calls": [entry]} for entry in fragments), {}]
    return [{"index": 0, "delta": delta, "finish_reason": None if delta else "tool_calls"} for delta in deltas]


def accumulated(*fragments):
    """Id, name and arguments of each call of a completion that is accumulated from these fragments."""
    accumulator = CompletionAccumulator(Unlimited())
    for choice in choices_of(fragments):
        accumulator.add({"choices": [choice]})
    calls = accumulator.completion()["choices"][0]["message"]["tool_calls"]
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls]


def converted(*fragments):
    """The same of a response that the fragments are converted to."""
    converter = ChunkConverter(Unlimited())
    for choice in choices_of(fragments):
        list(converter.convert(choice))
    list(converter.finish("completed"))
    return [(call["call_id"], call["name"], call["arguments"]) for call in converter.output()]


@pytest.fixture(params=[accumulated, converted])
def calls_of(request):
    return request.param


TWO = [("c1", "f", '{"a":1}'), ("c2", "g", '{"b":2}')]


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
def test_two_calls_stay_two(calls_of, fragments):
    """Two calls must not be merged, nor one be split, in any of the ways in which providers send fragments."""
    assert calls_of(*fragments) == TWO


def test_calls_without_id_and_index_begin_with_their_names(calls_of):
    """Each gets an id of its own, because its output refers to it."""
    first, second = calls_of(fragment('{"a":1}', "f"), fragment('{"b":2}', "g"))

    assert (first[1:], second[1:]) == (TWO[0][1:], TWO[1][1:])
    assert len({first[0], second[0], ""}) == 3


def test_calls_that_share_an_id_are_distinguished_by_their_index(calls_of):
    """Some providers use the function's name as the id, which two calls then share."""
    both = calls_of(fragment('{"a":1}', "f", "f", index=0), fragment('{"b":2}', "f", "f", index=1))

    assert both == [("f", "f", '{"a":1}'), ("f", "f", '{"b":2}')]


@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_a_new_id_without_a_name_begins_no_call(calls_of, index):
    """Some providers give each fragment an id of its own, which must not split the call."""
    ((_, *call),) = calls_of(fragment('{"a":', "f", "c1", **index), fragment("1}", None, "c2", **index))

    assert call == ["f", '{"a":1}']


@pytest.mark.parametrize("name", ["g", "f"])
def test_calls_without_ids_that_share_an_index_begin_with_their_names(calls_of, name):
    """This holds for the same function twice, too, once the arguments of the first call are complete."""
    both = calls_of(fragment('{"a":1}', "f", index=0), fragment('{"b":', name, index=0), fragment("2}", index=0))

    assert [call[1:] for call in both] == [("f", '{"a":1}'), (name, '{"b":2}')]


@pytest.mark.parametrize("rest", ['{"b":2}}', "1}", ""])
def test_a_name_that_is_repeated_in_each_fragment_begins_no_call(calls_of, rest):
    """Until the arguments are complete, a repeated name must not split the call."""
    ((_, *call),) = calls_of(fragment('{"a":', "f", index=0), fragment(rest, "f", index=0))

    assert call == ["f", '{"a":' + rest]


def test_calls_of_two_custom_tools_stay_two():
    """Calls of custom tools have no function: their ids and names decide where each begins."""
    fragments = [{"index": 0, "id": name, "custom": {"name": name, "input": "a"}} for name in ("c1", "c2")]
    accumulator = CompletionAccumulator(Unlimited())
    for choice in choices_of(fragments):
        accumulator.add({"choices": [choice]})

    calls = accumulator.completion()["choices"][0]["message"]["tool_calls"]
    assert [call["custom"] for call in calls] == [entry["custom"] for entry in fragments]
