"""Chunks of a chat completion as providers send them, accumulated: repeated values appear once."""

import pytest

from openai_format.completion_accumulator import CompletionAccumulator
from tests.openai_format.budgets import Unlimited


def chunk(finish_reason=None, more=None, **delta):
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **(more or {})}]}


def merged_choice(*chunks):
    accumulator = CompletionAccumulator(Unlimited())
    for entry in chunks:
        accumulator.add(entry)
    assert accumulator.is_finished
    (choice,) = accumulator.completion()["choices"]
    return choice


def test_a_repeated_finish_reason_appears_once():
    """Texts that are no deltas must not be appended to themselves."""
    native = {"native_finish_reason": "end_turn"}
    choice = merged_choice(chunk(content="hi"), chunk("stop", native), chunk("stop", native), chunk(None))

    assert (choice["finish_reason"], choice["native_finish_reason"]) == ("stop", "end_turn")


def test_a_content_filter_result_in_each_chunk_is_not_appended():
    """A nested text that each chunk repeats keeps its value, while the content grows."""
    verdict = {"content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}
    choice = merged_choice(chunk(more=verdict, content="a"), chunk(more=verdict, content="b"), chunk("stop"))

    assert choice["content_filter_results"] == verdict["content_filter_results"]
    assert choice["message"]["content"] == "ab"


def test_reasoning_details_grow_in_their_text_alone():
    """Type, format and index of a detail stay as they are, while its text grows."""
    chunks = [
        chunk(reasoning=text, reasoning_details=[{"type": "reasoning.text", "text": text, "format": "v1", "index": 0}])
        for text in ("a", "b")
    ]
    message = merged_choice(*chunks, chunk("stop", content="hi"))["message"]

    assert message["reasoning"] == "ab"
    assert message["reasoning_details"] == [{"type": "reasoning.text", "text": "ab", "format": "v1", "index": 0}]


def test_content_in_parts_is_accumulated_to_parts():
    """Consecutive parts of the same type are joined, and a text beside parts becomes a text part."""
    thinking = [chunk(content=[{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]) for text in "ab"]
    message = merged_choice(chunk(content=""), *thinking, chunk(content="h"), chunk(content="i"), chunk("stop"))[
        "message"
    ]

    assert message["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "ab"}]},
        {"type": "text", "text": "hi"},
    ]


def test_annotations_and_log_probabilities_are_all_kept():
    """Complete members of a list are appended, even if they are equal."""
    cited = {"type": "url_citation", "url_citation": {"url": "http://x"}}
    token = {"token": "hi", "logprob": -0.1, "bytes": None, "top_logprobs": []}
    likely = {"logprobs": {"content": [token]}}
    choice = merged_choice(chunk(more=likely, annotations=[cited]), chunk("stop", likely, annotations=[cited]))

    assert choice["message"]["annotations"] == [cited, cited]
    assert choice["logprobs"]["content"] == [token, token]


THOUGHT = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]


def test_an_empty_text_beside_parts_adds_no_part():
    """Providers that send parts may begin and end with an empty text."""
    message = merged_choice(chunk(content=""), chunk(content=THOUGHT), chunk(content="hi"), chunk("stop", content=""))[
        "message"
    ]

    assert message["content"] == [*THOUGHT, {"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("first", "then", "whole"),
    [
        ({}, "a", "a"),
        ({"a": 1}, "b", "b"),
        ("a", {"b": 1}, {"b": 1}),
        ("a", 5, 5),
        (5, "a", "a"),
        (5, {"a": 1}, {"a": 1}),
        (["a"], {"b": 1}, ["a", {"b": 1}]),
        ({"a": 1}, ["b"], [{"a": 1}, "b"]),
        ([], 5, [5]),
        ({"a": 1}, "", {"a": 1}),
        (["a"], None, ["a"]),
    ],
)
def test_a_value_that_changes_its_type_does_not_cost_the_answer(first, then, whole):
    """A value that cannot continue the known one replaces it, or is added beside it in a list."""
    assert merged_choice(chunk(summary=first), chunk("stop", summary=then))["message"]["summary"] == whole
