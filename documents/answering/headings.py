"""Finds the chapters of a document in the texts of its pages.

Tried in order: a table of contents whose titles occur again as lines of later pages; Markdown headings; lines such as
"Chapter 3"; numbered lines whose numbers rise from 1. Documents without any of these have no chapters here.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from documents.answering.markers import mask_code

_MIN_CHAPTERS: Final = 2
_MIN_NUMBERED_CHAPTERS: Final = 3  # numbered lines may be a list instead
_MIN_CONTENTS_LINES: Final = 3  # on one page
_MAX_CHAPTERS: Final = 500
_MAX_TITLE_CHARS: Final = 120
_CONTENTS_LINE: Final = re.compile(
    r"^[^\S\n]*(?P<number>(?:\d{1,3}|[A-Z])(?:\.\d{1,3})*\.?(?=\s))?[^\S\n]*(?P<title>[^\s.].{0,120}?)"
    r"[^\S\n]*(?:\.[^\S\n]?){4,}[^\S\n]*(?P<label>\d{1,4}|[ivxlc]{1,7})?[^\S\n]*$",
    re.MULTILINE,
)
_MARKDOWN: Final = re.compile(r"^(?P<marks>#{1,6})[^\S\n]+(?P<title>\S.{0,118}?)[^\S\n]*#*$", re.MULTILINE)
_CHAPTER: Final = re.compile(
    r"^[^\S\n]*(?P<title>(?P<label>(?:chapter|part|appendix|kapitel|teil|anhang|chapitre|partie|annexe|cap[ií]tulo"
    r"|parte|capitolo|hoofdstuk|deel|rozdzia[łl]|kapitola|глава|раздел|часть|розділ|bölüm|luku|fejezet|chương|bab)"
    r"[^\S\n]+(?:\d{1,3}|[ivxlc]{1,7}|[a-z])\b|第\s*[\d一二三四五六七八九十百]{1,4}\s*[章篇部编編]|제\s*\d{1,3}\s*[장부])"
    r"(?:[^\S\n]*[.:：–—-])?.{0,100})$",
    re.MULTILINE | re.IGNORECASE,
)
_NUMBERED: Final = re.compile(
    r"^[^\S\n]*(?P<title>(?P<number>\d{1,2})\.?[^\S\n]+[^\W\d_a-z].{1,80}[^.,;:\s])$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Heading:
    """The place where a chapter begins."""

    page: int  # position among the pages, from 0
    start: int  # position in the text of the page
    title: str


def find_chapters(pages: Sequence[str]) -> tuple[Heading, ...]:
    """The chapters in order; empty if none are recognized."""
    ways: tuple[Callable[[Sequence[str]], list[Heading]], ...] = (_by_contents, _by_markdown, _by_word, _by_number)
    found = next(filter(None, (way(pages) for way in ways)), [])
    return tuple(found[:_MAX_CHAPTERS])


def _by_contents(pages: Sequence[str]) -> list[Heading]:
    """The top level of the table of contents. A title that is no line of the text is placed by its page number."""
    first, end = _contents_pages(pages)
    lines = [match for page in pages[first:end] for match in _CONTENTS_LINE.finditer(page)]
    chapters = [line for line in lines if "." not in (line["number"] or "").rstrip(".")]
    found: list[Heading] = []
    offset: int | None = None  # from printed page numbers to positions
    missed = 0
    for line in chapters:
        label = int(line["label"]) if (line["label"] or "").isdigit() else None
        after = (found[-1].page, found[-1].start + 1) if found else (end, 0)
        heading = _locate(pages, line, after)
        if heading is None:
            missed += 1
            if offset is None or label is None or not after[0] < label + offset < len(pages):
                continue
            heading = Heading(label + offset, 0, _title(line))
        elif label is not None:
            offset = heading.page - label
        found.append(heading)
    return found if len(found) >= _MIN_CHAPTERS and missed * 2 <= len(chapters) else []


def _contents_pages(pages: Sequence[str]) -> tuple[int, int]:
    """The first page of the table of contents, and the first page after it."""
    is_contents = [sum(1 for _ in _CONTENTS_LINE.finditer(page)) >= _MIN_CONTENTS_LINES for page in pages]
    if True not in is_contents:
        return 0, 0
    first = is_contents.index(True)
    return first, first + len(list(takewhile(bool, is_contents[first:])))


def _locate(pages: Sequence[str], line: re.Match[str], after: tuple[int, int]) -> Heading | None:
    """The first line from this place on that has the title, with or without its number."""
    words = r"\s+".join(map(re.escape, line["title"].split()))
    number = re.escape((line["number"] or "").rstrip("."))
    pattern = re.compile(
        rf"^[^\S\n]*(?:\w+[^\S\n]+)?(?:{number}[.:]?\s+)?{words}[^\S\n]*$", re.MULTILINE | re.IGNORECASE
    )
    page, start = after
    while page < len(pages):
        if match := pattern.search(pages[page], start):
            return Heading(page, match.start(), _title(line))
        page, start = page + 1, 0
    return None


def _title(line: re.Match[str]) -> str:
    return " ".join(f"{line['number'] or ''} {line['title']}".split())


def _by_markdown(pages: Sequence[str]) -> list[Heading]:
    """The highest level that occurs more than once, with the levels above. Only a text without pages is Markdown."""
    matches = list(_matches(_MARKDOWN, [mask_code(page) for page in pages])) if len(pages) == 1 else []
    levels = sorted(len(match["marks"]) for _, match in matches)
    if len(levels) < _MIN_CHAPTERS:
        return []
    level = next((level for level in levels if levels.count(level) >= _MIN_CHAPTERS), levels[-1])
    return [_heading(page, match) for page, match in matches if len(match["marks"]) <= level]


def _by_word(pages: Sequence[str]) -> list[Heading]:
    """The first line of each chapter: the others are headers of pages, or refer to it."""
    first = dict[str, Heading]()
    for page, match in _matches(_CHAPTER, pages):
        first.setdefault(" ".join(match["label"].casefold().split()), _heading(page, match))
    return list(first.values()) if len(first) >= _MIN_CHAPTERS else []


def _by_number(pages: Sequence[str]) -> list[Heading]:
    """Lines with the numbers 1, 2, 3, ... that reach into the second half of the text."""
    found: list[Heading] = []
    for page, match in _matches(_NUMBERED, pages):
        if int(match["number"]) == len(found) + 1:
            found.append(_heading(page, match))
    sizes = [len(page) for page in pages]
    before_last = sum(sizes[: found[-1].page]) + found[-1].start if found else 0
    return found if len(found) >= _MIN_NUMBERED_CHAPTERS and before_last * 2 >= sum(sizes) else []


def _matches(pattern: re.Pattern[str], pages: Sequence[str]) -> Iterator[tuple[int, re.Match[str]]]:
    return ((page, match) for page, text in enumerate(pages) for match in pattern.finditer(text))


def _heading(page: int, match: re.Match[str]) -> Heading:
    return Heading(page, match.start(), " ".join(match["title"].split())[:_MAX_TITLE_CHARS])
