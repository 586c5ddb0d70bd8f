"""Sentences that run over the end of a page.

A chunk belongs to one page, so such a sentence is in two chunks. Its halves are embedded, given to the model and cited
together. Each half is quoted verbatim from its own page.
"""

import re
from typing import Final

from documents.text import SENTENCE_END_CHARS, sentence_spans
from documents.words import ends_with_function_word

_MAX_SENTENCE_CHARS: Final = 400
_MIN_HALF_BYTES: Final = 12  # a shorter line at the end of a page is a heading or a page number
_BLANKS: Final = r"[^\S\n]*"
_PAGE_NUMBER: Final = (
    rf"{_BLANKS}(?:\w+[^\S\n]+)?[-\u2013]?{_BLANKS}\d{{1,4}}(?:{_BLANKS}(?:/|of|von|de){_BLANKS}\d{{1,4}})?"
    rf"{_BLANKS}[-\u2013]?{_BLANKS}"
)
_FOOTER: Final = re.compile(rf"\n{_PAGE_NUMBER}\Z")
_HEADER: Final = re.compile(rf"{_PAGE_NUMBER}\n")
_DIGITS: Final = re.compile(r"\d+")


def broken_sentence(page: str, next_page: str) -> tuple[str, str] | None:
    """The two halves of a sentence that begins at the end of a page and ends on the next one; None if there is none.

    Works with the texts of both pages, or with the last chunk of the one and the first chunk of the other. A page
    number at the end of the page, or at the start of the next, is not part of the sentence.
    """
    start = _skip_header(page, next_page)
    first, second = _last_sentence(_FOOTER.sub("", page)), _first_sentence(next_page, start)
    if not second or not _is_unfinished(first):
        return None
    return (first, second) if _may_follow(first, second) else None


def may_end_broken(chunk: str) -> bool:
    """Whether the last sentence may continue on the next page."""
    return _is_unfinished(_last_sentence(_FOOTER.sub("", chunk)))


def may_begin_broken(chunk: str) -> bool:
    """Whether the first sentence may begin on the page before. Cheap: misses those that begin with a capital."""
    return not chunk[:1].isupper()


def _is_unfinished(sentence: str) -> bool:
    return len(sentence.encode()) >= _MIN_HALF_BYTES and sentence[-1] not in SENTENCE_END_CHARS


def _may_follow(first: str, second: str) -> bool:
    """A capital begins a new sentence, unless the words before it need another one ("was built by / Alexander")."""
    return not second[0].isupper() or first[-1] in ",;" or ends_with_function_word(first)


def _last_sentence(text: str) -> str:
    start = max(0, len(text) - _MAX_SENTENCE_CHARS)
    sentences = [text[first:last] for first, last in sentence_spans(text, start)]
    return sentences[-1] if sentences else ""


def _first_sentence(text: str, start: int) -> str:
    spans = sentence_spans(text, start, min(len(text), start + _MAX_SENTENCE_CHARS))
    first, last = next(spans, (0, 0))
    return text[first:last]


def _skip_header(page: str, next_page: str) -> int:
    """The position after a page number, or after a line with which both pages begin."""
    if header := _HEADER.match(next_page):
        return header.end()
    line, _, rest = next_page.partition("\n")
    is_repeated = bool(rest) and _DIGITS.sub("", line) == _DIGITS.sub("", page.partition("\n")[0])
    return len(line) + 1 if is_repeated else 0
