"""Cuts long documents into sections, each of which is summarized by one call to a model.

A section is a chapter, or a part of a chapter that is longer than one call takes. A document without recognizable
chapters is cut into equal steps at the ends of its pages. Very many sections are merged with their neighbours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from documents.answering.headings import Heading, find_chapters
from documents.answering.prompting import count_prompt_tokens
from documents.models import Source
from documents.text import BYTES_PER_TOKEN

MAX_SECTIONS: Final = 100  # of one request: each is a call to the model
_MIN_FRONT_CHARS: Final = 400  # of the text before the first chapter; a shorter one is given with that chapter
_MAX_HEADER_CHARS: Final = 80  # above the title of a chapter at the top of a page
_TITLE_SEPARATOR: Final = " / "


@dataclass(frozen=True, slots=True)
class Section:
    """A part of one document: its title ('' if unknown) and its passages in order. The first passage is numbered 1."""

    title: str
    sources: tuple[Source, ...]

    @property
    def document_id(self) -> str:
        return self.sources[0].document_id

    @property
    def filename(self) -> str:
        return self.sources[0].filename

    @property
    def pages(self) -> tuple[int, int]:
        """The first and the last page."""
        return self.sources[0].page, self.sources[-1].page


def cut_sections(pages: Sequence[Source], max_tokens: int) -> tuple[Section, ...]:
    """The sections of these pages of one or more documents; none if there would be more than MAX_SECTIONS.

    A section has at most `max_tokens` in a prompt.
    """
    sections: list[Section] = []
    for _, group in groupby(pages, key=lambda source: source.document_id):
        document = list(group)
        chapters = find_chapters([page.text for page in document])
        for title, parts in _chapters(document, chapters):
            small_parts = [piece for part in parts for piece in _split(part, max_tokens)]
            sections += [Section(title, run) for run in _runs(small_parts, max_tokens)]
    if len(sections) > MAX_SECTIONS:
        sections = list(_merge(sections, max_tokens))
    return tuple(map(_numbered, sections)) if len(sections) <= MAX_SECTIONS else ()


def _chapters(pages: Sequence[Source], chapters: Sequence[Heading]) -> Iterator[tuple[str, list[Source]]]:
    """The title and the text of each chapter; what precedes the first one has no title."""
    title, parts = "", list[Source]()
    for number, page in enumerate(pages):
        start = 0
        for heading in (chapter for chapter in chapters if chapter.page == number):
            end = 0 if heading.start <= _MAX_HEADER_CHARS else heading.start
            parts += _part(page, start, end)
            if title or sum(len(part.text) for part in parts) >= _MIN_FRONT_CHARS:
                yield title, parts
                parts = []
            title, start = heading.title, end
        parts += _part(page, start, len(page.text))
    if parts:
        yield title, parts


def _part(page: Source, start: int, end: int) -> list[Source]:
    """This part of the page; nothing if it is blank. The text of a page may lack blanks, so a part has no position."""
    if not page.text[start:end].strip():
        return []
    if (start, end) == (0, len(page.text)):
        return [page]
    return [replace(page, text=page.text[start:end].strip(), start=None, end=None)]


def _split(source: Source, max_tokens: int) -> Iterator[Source]:
    """The source in parts that fit into a prompt, cut at blank lines or at the ends of lines where possible."""
    while count_prompt_tokens(source) > max_tokens:
        overhead = count_prompt_tokens(replace(source, text=""))
        limit = _fitting_chars(source.text, max(1, max_tokens - overhead) * BYTES_PER_TOKEN)
        cut = max(source.text.rfind("\n\n", limit // 2, limit), 0)
        cut = (
            cut
            or max(source.text.rfind("\n", limit // 2, limit), source.text.rfind(" ", limit // 2, limit), 0)
            or limit
        )
        yield from _part(source, 0, cut)
        rest = _part(source, cut, len(source.text))
        if not rest:
            return
        source = rest[0]
    yield source


def _fitting_chars(text: str, max_bytes: int) -> int:
    """The number of characters at the beginning that have at most so many bytes; at least 1."""
    return max(1, len(text.encode()[:max_bytes].decode(errors="ignore")))


def _runs(parts: Sequence[Source], max_tokens: int) -> Iterator[tuple[Source, ...]]:
    """Consecutive parts of about equal size, each within the limit."""
    sizes = [count_prompt_tokens(part) for part in parts]
    count = -(-sum(sizes) // max_tokens)
    target = sum(sizes) / max(1, count)
    run, tokens = list[Source](), 0
    for part, size in zip(parts, sizes, strict=True):
        if run and (tokens + size > max_tokens or tokens + size / 2 > target):
            yield tuple(run)
            run, tokens = [], 0
        run.append(part)
        tokens += size
    if run:
        yield tuple(run)


def _merge(sections: Sequence[Section], max_tokens: int) -> Iterator[Section]:
    """Neighbours of one document together, as far as they fit."""
    merged = sections[0]
    for section in sections[1:]:
        both = (*merged.sources, *section.sources)
        fits = sum(map(count_prompt_tokens, both)) <= max_tokens
        if fits and merged.document_id == section.document_id:
            titles = dict.fromkeys(filter(None, (*merged.title.split(_TITLE_SEPARATOR), section.title)))
            merged = Section(_TITLE_SEPARATOR.join(titles), both)
        else:
            yield merged
            merged = section
    yield merged


def _numbered(section: Section) -> Section:
    sources = [replace(source, number=number) for number, source in enumerate(section.sources, start=1)]
    return Section(section.title, tuple(sources))
