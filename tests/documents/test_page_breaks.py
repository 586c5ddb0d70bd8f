"""A sentence over the end of a page is given and quoted whole, each half from its own page."""

import pytest

from documents.answering.citations import extract_answer, extract_citations
from documents.answering.source_selection import neighbours_over_page_ends, with_broken_sentences
from documents.models import Chunk, Source
from documents.page_breaks import broken_sentence

FIRST, SECOND = "The penalty for smuggling salt is", "seven years on the galleys."
PAGES = (f"Salt is taxed. {FIRST}", f"{SECOND} Pepper is free.")


def source(number, page, text, index=None):
    return Source(number, "doc_a", "a.pdf", page, text, 0.5, 0, len(text), "match", index)


@pytest.mark.parametrize(
    ("page", "next_page", "halves"),
    [
        (*PAGES, (FIRST, SECOND)),
        (f"{FIRST}\n12", f"13\n{SECOND}", (FIRST, SECOND)),  # page numbers
        (f"Act of 1712\n{FIRST}", f"Act of 1712\n{SECOND}", ("Act of 1712\n" + FIRST, SECOND)),  # a repeated header
        ("The mill was built by", "Alexander. He left.", ("The mill was built by", "Alexander.")),
        ("The fee for entering is", "180 euros. More.", ("The fee for entering is", "180 euros.")),
        ("走私食盐的人要受到的处罚是", "服役七年。下一条。", ("走私食盐的人要受到的处罚是", "服役七年。")),
        ("Salt is taxed.", SECOND, None),
        ("All about salt and pepper", "Pepper is free.", None),
        ("12", SECOND, None),
        ("", "", None),
    ],
)
def test_the_halves_of_a_sentence_are_found(page, next_page, halves):
    """Page numbers and headers are no part of it, and a new sentence is no second half."""
    assert broken_sentence(page, next_page) == halves


@pytest.mark.parametrize("found", [0, 1])
def test_the_other_half_is_given_to_the_model(found):
    """Whichever half the search has found, both are sources in the order of their pages."""
    chunks = [("doc_a", Chunk(index, index + 1, 0, len(text), text)) for index, text in enumerate(PAGES)]
    sources = (source(1, found + 1, PAGES[found], found),)
    wanted = neighbours_over_page_ends(sources)
    both = with_broken_sentences(sources, [chunk for chunk in chunks if ("doc_a", chunk[1].index) in wanted], 2_000)

    assert ("doc_a", 1 - found) in wanted
    assert [(one.number, one.page, one.text) for one in both] == [(1, 1, PAGES[0]), (2, 2, PAGES[1])]
    assert with_broken_sentences(sources, [], 2_000) == sources


def test_both_halves_are_quoted():
    """Each verbatim on its page, also if the answer cites only one of them, and in an answer without a model."""
    sources = (source(1, 1, PAGES[0]), source(2, 2, PAGES[1]))
    question = "What is the penalty for smuggling salt?"
    answers = ["Seven years on the galleys [1].", "Seven years on the galleys [2].", extract_answer(question, sources)]

    for answer in answers:
        quotes = [(citation.page, citation.quote) for citation in extract_citations(answer, question, sources)]
        assert quotes == [(1, FIRST), (2, SECOND)]


def test_a_sentence_over_three_pages_loses_no_part():
    """The middle page has one half of it in common with each neighbour."""
    sources = (
        source(1, 1, "The long sentence begins here and"),
        source(2, 2, "goes on without an"),
        source(3, 3, "end. Full."),
    )
    cited = extract_citations("It begins [1], goes on [2] and has an end [3].", "?", sources)

    assert {citation.page for citation in cited} == {1, 2, 3}
