"""Chunking: chunks are verbatim, complete, small enough and deterministic."""

import random
import time
from itertools import pairwise

import pytest

from documents.models import TextPage
from documents.reading.chunking import ChunkSize, chunk_page, chunk_pages
from documents.text import count_tokens, normalize_text, sentence_spans, stems

SIZE = ChunkSize(tokens=60, overlap=15)


def page(text: str, number: int = 1) -> TextPage:
    return TextPage(number, 1, text)


def texts(text: str, size: ChunkSize = SIZE) -> list[str]:
    return [chunk.text for chunk in chunk_page(page(text), size, 0)]


def prose(seed: int) -> str:
    """Random text with paragraphs, headings, lists, long lines, long words, unusual whitespace and many scripts."""
    rng = random.Random(seed)
    words = [
        "alpha",
        "beta",
        "e.g.",
        "3.14",
        "naïve",
        "日本語。",
        "x" * 500,
        "-",
        "•",
        "U.S.",
        "end.",
        "Why?",
        "Hm!",
        "\t",
    ]
    separators = [" ", " ", " ", " ", "\n", ". ", ".\n", "\n\n", "\n \n", "  "]
    return "".join(rng.choice(words) + rng.choice(separators) for _ in range(rng.choice([3, 40, 400]))).strip()


@pytest.mark.parametrize("seed", range(40))
def test_chunks_are_verbatim_complete_and_within_the_size_limit(seed):
    """For any text, each chunk is a verbatim span, all chunks together cover the text, and none exceeds its size."""
    text = prose(seed)
    chunks = list(chunk_page(page(text), SIZE, 0))
    covered = set()
    for chunk in chunks:
        assert chunk.text == text[chunk.start : chunk.end] == chunk.text.strip()
        assert len(normalize_text(chunk.text).encode()) <= 4 * SIZE.tokens + 4
        covered.update(range(chunk.start, chunk.end))

    assert all(position in covered for position, character in enumerate(text) if not character.isspace())
    assert [chunk.start for chunk in chunks] == sorted({chunk.start for chunk in chunks})
    assert chunks == list(chunk_page(page(text), SIZE, 0))


def test_a_paragraph_that_fits_into_a_chunk_is_not_split():
    """A chunk ends at the end of a paragraph rather than inside the next one."""
    first, second = "One is short. " * 10, "Two is short too. " * 10

    assert texts(f"{first.strip()}\n\n{second.strip()}") == [first.strip(), second.strip()]


def test_a_long_paragraph_is_split_between_sentences_with_an_overlap():
    """The text at a chunk boundary is found together with its context on both sides."""
    sentences = [f"This is the sentence with the number {number}." for number in range(20)]
    chunks = texts(" ".join(sentences))

    assert len(chunks) > 1
    assert all(chunk.startswith("This") and chunk.endswith(".") for chunk in chunks)
    assert all(chunk.rsplit("This", 1)[1] in next_chunk for chunk, next_chunk in pairwise(chunks))


def test_no_chunk_crosses_a_page_boundary():
    """A citation names one page, so a chunk has text of one page only; indexes continue across pages."""
    chunks = list(chunk_pages([page("One begins here and", 1), page("ends on the other page.", 2), page("", 3)], SIZE))

    assert [(chunk.index, chunk.page) for chunk in chunks] == [(0, 1), (1, 2)]


def test_an_overlap_as_long_as_the_chunk_is_rejected():
    """With such an overlap the next chunk would never move forward."""
    with pytest.raises(ValueError, match="overlap"):
        ChunkSize(tokens=10, overlap=10)


@pytest.mark.parametrize("text", ["." * 300_000, "a" * 300_000, " ." * 150_000, "\n" * 300_000 + "a", "a.\n" * 100_000])
def test_hostile_text_is_chunked_in_linear_time(text):
    """No pattern backtracks over a long run of one character: 300,000 characters take less than 10 s."""
    started = time.monotonic()
    list(chunk_page(page(text), SIZE, 0))

    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("See e.g. Table 3. It is 3.14 wide.", ["See e.g. Table 3.", "It is 3.14 wide."]),
        ("A title\n\nA text", ["A title", "A text"]),
        ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
        ("   ", []),
    ],
)
def test_sentences_end_where_a_reader_expects(text, sentences):
    """Abbreviations and decimals do not end a sentence; blank lines and full stops of scripts without capitals do."""
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


def test_words_hyphenated_at_a_line_end_are_searched_as_one_word():
    """The page keeps the hyphen as printed, but a search for the whole word finds it."""
    assert normalize_text("the en-\ncoding  of\nnames") == "the encoding of names"
    assert stems("The en-\ncoding of names") == stems("encode a name") == ["encod", "nam"]


def test_token_counts_are_close_to_those_of_models():
    """The count decides what fits into a chunk and a prompt; it is at least 1."""
    assert count_tokens("") == 1
    assert 8 <= count_tokens("The quick brown fox jumps over the lazy dog.") <= 12
