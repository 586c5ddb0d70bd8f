"""Cutting: pages into chunks that can be searched, quoted and put before a model.

A chunk never crosses a page. A citation names one page and its quote must stand on it, literally; a chunk of two
pages would have to be taken apart again to be cited. The price is the sentence that runs over a page's end: each
half is found by itself.

Within a page a chunk ends where a paragraph ends if it can, else where a sentence ends, else between words, and
inside a word only if that word is longer than a whole chunk. The same text and sizes give the same chunks always.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from documents.models import Chunk, TextPage
from documents.text import BYTES_PER_TOKEN, count_tokens, sentence_spans

_BLANK_LINE: Final = re.compile(r"\n[^\S\n]*\n\s*")
_MIN_FILL: Final = 0.5  # of a chunk: from here on it rather ends with its paragraph than takes half of the next


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """In approximate tokens. The overlap is whole sentences of one paragraph: where one ends, nothing is torn apart."""

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
    starts_paragraph: bool  # a paragraph begins here
    paragraph_tokens: int = 0  # tokens from here to the paragraph's end


def chunk_pages(pages: Iterable[TextPage], size: ChunkSize) -> Iterator[Chunk]:
    """The chunks of these pages, in order. Every character that is no blank is in at least one."""
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
    """First and last span of each chunk."""
    first = 0
    while first < len(spans):
        last = _last_span(spans, first, size.tokens)
        yield first, last
        if last + 1 == len(spans):
            return
        first = _next_first_span(spans, first, last, size)


def _last_span(spans: list[_Span], first: int, limit: int) -> int:
    """As far as the limit allows, but not into a paragraph that does not fit when the chunk is full enough."""
    tokens = spans[first].tokens
    for number in range(first + 1, len(spans)):
        span = spans[number]
        if tokens + span.tokens > limit:
            return number - 1
        if span.starts_paragraph and tokens >= limit * _MIN_FILL and tokens + span.paragraph_tokens > limit:
            return number - 1
        tokens += span.tokens
    return len(spans) - 1


def _next_first_span(spans: list[_Span], first: int, last: int, size: ChunkSize) -> int:
    """Where the next chunk begins: a few sentences back in its paragraph, if the next still fits with them."""
    tokens = 0
    budget = min(size.overlap, size.tokens - spans[last + 1].tokens)
    begin = last + 1
    while begin - 1 > first and not spans[begin].starts_paragraph and tokens + spans[begin - 1].tokens <= budget:
        begin -= 1
        tokens += spans[begin].tokens
    return begin


def _spans(text: str, limit: int) -> Iterator[_Span]:
    """The sentences of the page, those that are longer than a chunk in parts."""
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
    """The sentence, or as many words at a time as fit into a chunk; a word of a chunk's length is more than one."""
    begin, part_bytes = start, 0
    for word in re.compile(rf"\s*\S{{1,{limit}}}").finditer(text, start, end):
        size = len(word[0].encode())
        if part_bytes and part_bytes + size > limit * BYTES_PER_TOKEN:
            yield begin, word.start()
            begin, part_bytes = word.end() - len(word[0].lstrip()), 0
        part_bytes += size
    if begin < end:
        yield begin, end
