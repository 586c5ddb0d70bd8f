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


def test_earlier_messages_are_truncated():
    """They keep their end: the latest matter most."""
    query = build_query("x", ["y" * 3_000, "z"])

    assert len(query.previous_text) == 2_000
    assert query.previous_text.endswith("y\nz")


PASTED = "Dear all, the ship is late. It rains. We are tired of it. " * 40


@pytest.mark.parametrize(
    ("message", "questions"),
    [
        (f"{PASTED}\nWhat does our policy say?", ("What does our policy say?",)),
        (f"What does our policy say?\n\n{PASTED}", ("What does our policy say?",)),
        (f"政策怎么说？\n{PASTED}", ("政策怎么说？",)),
        (f"Find the policy.\n\n{PASTED}\n\nThank you.", ("Find the policy.", "Thank you.")),
        ("x" * 10_000, ("x" * 500,)),
    ],
)
def test_a_long_message_is_searched_for_by_its_question(message, questions):
    """The pasted text around it counts like an earlier message, and only its ends are embedded."""
    query = build_query(message, ["Before?"])

    assert query.questions == questions
    assert query.text == "\n".join(questions)
    assert query.previous_text.startswith("Before?\n")
    assert len(query.previous_text) < 2_100


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
