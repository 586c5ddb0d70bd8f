"""Splits pages into chunks that can be searched, quoted and given to a model.

A chunk never crosses a page boundary. A citation names one page, and its quote must be verbatim on that page; a chunk
of two pages would have to be split again to be cited. The cost: a sentence that runs over a page boundary is quoted as
two separate halves. Its second half is embedded together with the first, so that the question finds it.

Within a page a chunk ends at the end of a paragraph if possible, else at the end of a sentence, else between words, and
inside a word only if the word is longer than a chunk. The same text and sizes always give the same chunks.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from documents.models import Chunk, TextPage
from documents.text import BYTES_PER_TOKEN, count_tokens, sentence_spans

_BLANK_LINE: Final = re.compile(r"\n[^\S\n]*\n\s*")
_MIN_FILL: Final = 0.5  # of a chunk: from this fill on, it ends with its paragraph rather than splitting the next


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """In approximate tokens. The overlap consists of whole sentences of one paragraph; paragraphs do not overlap."""

    tokens: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.tokens:
            raise ValueError("the overlap must be shorter than the chunk")


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int
    tokens: int
    starts_paragraph: bool
    paragraph_tokens: int = 0  # from the start of this span to the end of its paragraph


def chunk_pages(pages: Iterable[TextPage], size: ChunkSize) -> Iterator[Chunk]:
    """The chunks of these pages, in order. Every non-whitespace character is in at least one chunk."""
    index = 0
    for page in pages:
        for chunk in chunk_page(page, size, index):
            yield chunk
            index += 1


def chunk_page(page: TextPage, size: ChunkSize, first_index: int) -> Iterator[Chunk]:
    spans = list(_spans(page.text, size.tokens))
    for offset, (first, last) in enumerate(_span_ranges(spans, size)):
        start, end = spans[first].start, spans[last].end
        yield Chunk(first_index + offset, page.number, start, end, page.text[start:end])


def _span_ranges(spans: list[_Span], size: ChunkSize) -> Iterator[tuple[int, int]]:
    """The first and the last span of each chunk."""
    first = 0
    while first < len(spans):
        last = _last_span(spans, first, size.tokens)
        yield first, last
        if last + 1 == len(spans):
            return
        first = _next_first_span(spans, first, last, size)


def _last_span(spans: list[_Span], first: int, limit: int) -> int:
    """The last span within the limit. A chunk that is full enough does not start a paragraph that exceeds the limit."""
    tokens = spans[first].tokens
    for index in range(first + 1, len(spans)):
        span = spans[index]
        if tokens + span.tokens > limit:
            return index - 1
        if span.starts_paragraph and tokens >= limit * _MIN_FILL and tokens + span.paragraph_tokens > limit:
            return index - 1
        tokens += span.tokens
    return len(spans) - 1


def _next_first_span(spans: list[_Span], first: int, last: int, size: ChunkSize) -> int:
    """The first span of the next chunk: a few sentences back in the same paragraph, if the next span still fits."""
    tokens = 0
    budget = min(size.overlap, size.tokens - spans[last + 1].tokens)
    start = last + 1
    while start - 1 > first and not spans[start].starts_paragraph and tokens + spans[start - 1].tokens <= budget:
        start -= 1
        tokens += spans[start].tokens
    return start


def _spans(text: str, limit: int) -> Iterator[_Span]:
    """The sentences of the page; a sentence longer than a chunk is split into parts."""
    for start, end in _paragraphs(text):
        parts = [
            part for sentence in sentence_spans(text, start, end) for part in _split_sentence(text, *sentence, limit)
        ]
        tokens_left = sum(count_tokens(text[first:last]) for first, last in parts)
        for number, (first, last) in enumerate(parts):
            tokens = count_tokens(text[first:last])
            yield _Span(first, last, tokens, starts_paragraph=number == 0, paragraph_tokens=tokens_left)
            tokens_left -= tokens


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match in _BLANK_LINE.finditer(text):
        yield start, match.end()
        start = match.end()
    yield start, len(text)


def _split_sentence(text: str, start: int, end: int, limit: int) -> Iterator[tuple[int, int]]:
    """The sentence in parts that fit into a chunk, split between words; a word longer than a chunk is split too."""
    part_start, part_bytes = start, 0
    for word in re.compile(rf"\s*\S{{1,{limit}}}").finditer(text, start, end):
        size = len(word[0].encode())
        if part_bytes and part_bytes + size > limit * BYTES_PER_TOKEN:
            yield part_start, word.start()
            part_start, part_bytes = word.end() - len(word[0].lstrip()), 0
        part_bytes += size
    if part_start < end:
        yield part_start, end
