"""The question and what was asked before it: what is embedded, what is searched for, and how much each weighs."""

import math
from array import array

import pytest

from documents.answering.search_query import SearchQuery, build_query, combine


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_a_question_with_nothing_before_it_is_searched_for_as_it_is():
    question = build_query("Why?", [])
    vector = array("f", [3.0, 4.0])

    assert question.texts == ("Why?",)
    assert question.search_text == "Why?"
    assert combine([vector]) is vector


def test_the_latest_messages_before_it_are_searched_for_too():
    assert build_query("e", ["a", "b", "c", "d"]) == SearchQuery("e", "b\nc\nd")
    assert build_query("e", ["d"]).search_text == "e\nd"


def test_both_are_bounded_and_of_what_was_before_the_latest_is_kept():
    question = build_query("x" * 10_000, ["y" * 3_000, "z"])

    assert len(question.text) == 8_000
    assert len(question.previous_text) == 2_000
    assert question.previous_text.endswith("y\nz")


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_the_question_weighs_more_than_what_was_before_it(length):
    """However long the vectors are that a model makes."""
    now, before = array("f", [1.0, 0.0]), array("f", [0.0, length])
    blended = combine([now, before])

    assert cosine(blended, now) == pytest.approx(2 / math.sqrt(5), abs=1e-6)
    assert cosine(blended, before) == pytest.approx(1 / math.sqrt(5), abs=1e-6)


def test_what_is_asked_is_in_no_repr():
    assert "canary" not in repr(SearchQuery("canary", "canary"))
