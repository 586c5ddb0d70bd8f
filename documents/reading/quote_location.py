"""Finds a quote in the characters of a page.

The text of a page and PDFium's characters differ in whitespace, in the hyphens at line ends and in control characters.
So only significant characters are compared: all others.
"""

import re
from collections.abc import Iterator
from typing import Final

# Whitespace, controls, PDFium's marks for a hyphen, and hyphens.
_INSIGNIFICANT: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\u2010\u2011\ufeff\ufffe\ud800-\udfff-]")


def significant_chars(text: str) -> str:
    """The characters of the text that are compared, in order."""
    return _INSIGNIFICANT.sub("", text)


def find_quote(text: str, quote: str, chars_before: int | None) -> list[tuple[int, int]]:
    """Start and end of the quote in the significant ``text``; empty if it is not there.

    ``chars_before``: where it is expected. Of several occurrences the nearest is taken, or the first. A quote that is
    not there as a whole is searched for line by line: a text in columns may have been read in another order.
    """
    whole = significant_chars(quote)
    span = _nearest(text, whole, chars_before or 0)
    return [span] if span else list(_find_lines(text, quote, chars_before or 0))


def _find_lines(text: str, quote: str, expected: int) -> Iterator[tuple[int, int]]:
    """Nothing, unless all lines are there."""
    spans = []
    for line in filter(None, map(significant_chars, quote.splitlines())):
        span = _nearest(text, line, expected)
        if span is None:
            return
        spans.append(span)
        expected = span[1]
    yield from spans


def _nearest(text: str, part: str, expected: int) -> tuple[int, int] | None:
    """The occurrence of the part that is nearest to the expected place."""
    if not part:
        return None
    after = text.find(part, max(0, expected))
    before = text.rfind(part, 0, max(0, expected) + len(part) - 1)
    found = [start for start in (before, after) if start >= 0]
    if not found:
        return None
    start = min(found, key=lambda place: abs(place - expected))
    return start, start + len(part)
