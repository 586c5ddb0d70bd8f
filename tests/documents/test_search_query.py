"""The search query: which texts are embedded, which are searched for, and how they are weighted."""

import math
from array import array

import pytest

from documents.answering.search_query import SearchQuery, build_query, combine


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_a_question_without_earlier_messages_is_searched_unchanged():
    """Text and vector are used unchanged, without a copy."""
    query = build_query("Why?", [])
    vector = array("f", [3.0, 4.0])

    assert query.texts == ("Why?",)
    assert query.search_text == "Why?"
    assert combine([vector]) is vector


def test_the_latest_earlier_messages_are_searched_for_too():
    """The last three earlier messages are part of the query, so a follow-up question finds its subject."""
    assert build_query("e", ["a", "b", "c", "d"]) == SearchQuery("e", "b\nc\nd")
    assert build_query("e", ["d"]).search_text == "e\nd"


def test_question_and_earlier_messages_are_truncated_separately():
    """The question keeps its beginning, the earlier messages keep their end: the latest matter most."""
    query = build_query("x" * 10_000, ["y" * 3_000, "z"])

    assert len(query.text) == 8_000
    assert len(query.previous_text) == 2_000
    assert query.previous_text.endswith("y\nz")


@pytest.mark.parametrize("length", [1.0, 7.0])
def test_the_question_weighs_more_than_the_earlier_messages(length):
    """The weights hold for any vector length that a model returns."""
    question, previous = array("f", [1.0, 0.0]), array("f", [0.0, length])
    combined = combine([question, previous])

    assert cosine(combined, question) == pytest.approx(2 / math.sqrt(5), abs=1e-6)
    assert cosine(combined, previous) == pytest.approx(1 / math.sqrt(5), abs=1e-6)


def test_a_query_does_not_show_its_text_in_its_repr():
    """A repr may be logged, and logs never contain user text."""
    assert "canary" not in repr(SearchQuery("canary", "canary"))
