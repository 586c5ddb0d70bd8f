"""Clean-up, words, sentences and tokens of a text, without a model: approximate, deterministic and fast."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

BYTES_PER_TOKEN: Final = 4  # of UTF-8; English prose under the usual tokenizers has 4 to 4.5, program text 3 to 4
_LINE_END: Final = re.compile(r"\r\n?|[\x0b\x85\u2028\u2029]")
# PDFium's mark for a hyphen at a line end; it replaces the hyphen and the line break.
_LINE_END_HYPHEN: Final = re.compile(r"[\x02\ufffe](?:\r?\n)?")
_CONTROL_CHARS: Final = re.compile(r"[\x00-\x08\x0c\x0e-\x1f\x7f\ud800-\udfff\ufeff]")
_WORD: Final = re.compile(r"\w+")
_HYPHENATED_LINE_BREAK: Final = re.compile(r"(?<=[^\W\d_])-\n(?=[^\W\d_])")
_SENTENCE_END: Final = re.compile(
    r"""(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bcf)(?<!\bvs)(?<!\bFig)(?<!\bNo)(?<!\bDr)(?<!\bMr)(?<!\bMrs)
        (?<![.!?])[.!?]+['"\u201d\u2019)\]]*\s+(?=['"\u201c\u2018(\[]?[A-Z0-9À-Þ])  # followed by a capital or digit
        | [\u3002\uff01\uff1f]+\s*                                      # scripts without capitals
        | \n[^\S\n]*\n\s*                                   # a blank line
    """,
    re.VERBOSE,
)
_SUFFIXES: Final = ("ations", "ation", "ings", "ing", "ies", "ied", "ers", "ed", "es", "er", "ly", "s", "y", "e")
_MIN_STEM_CHARS: Final = 3
_STOP_WORDS: Final = frozenset(
    """
    a about all also an and any are as at be been but by can could did do does for from had has have how i if in into
    is it its may me more most must my no not of on one or other our out shall should so some such than that the
    their them then there these they this to under up use used using was we were what when where which while who
    whom whose why will with would you your
    """.split()  # noqa: SIM905  # a hundred quoted words read worse
)


def clean_text(text: str) -> str:
    """Normalize line ends to line feeds and remove control characters. Hyphens at line ends are kept."""
    text = _LINE_END_HYPHEN.sub("-\n", text)
    return _CONTROL_CHARS.sub("", _LINE_END.sub("\n", text)).strip()


def count_tokens(text: str) -> int:
    """The approximate number of tokens that a model would count; at least 1."""
    return max(1, -(-len(text.encode()) // BYTES_PER_TOKEN))


def normalize_text(text: str) -> str:
    """The text for search: words hyphenated at line ends are joined, and whitespace is collapsed."""
    return " ".join(_HYPHENATED_LINE_BREAK.sub("", text).split())


def stems(text: str) -> list[str]:
    """The keywords in order, without the most common English endings. Digits and other scripts are unchanged."""
    return [_stem(word) for word in _WORD.findall(normalize_text(text).lower()) if word not in _STOP_WORDS]


def keywords(text: str) -> frozenset[str]:
    return frozenset(stems(text))


@lru_cache(maxsize=20_000)  # a question stems 5,000 words, most of them repeatedly: a third of the time
def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= _MIN_STEM_CHARS:
            return word.removesuffix(suffix)
    return word


def sentence_spans(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, without surrounding whitespace; together they cover all other characters."""
    end = len(text) if end is None else end
    for match in _SENTENCE_END.finditer(text, start, end):
        yield from _strip_span(text, start, match.end())
        start = match.end()
    yield from _strip_span(text, start, end)


def _strip_span(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end
