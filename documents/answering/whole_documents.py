"""Selects sources that no search finds: whole documents, pages of them, or a sample of documents that are too long.

A summary, a request for a page, small talk and follow-ups match no chunk. For documents that the caller chose, the model
is then given

- the pages that the message names, or else
- all chosen documents in order, if they fit into the budget, or else
- a sample: the first and the last page of each document, and chunks at equal distances between them. Among neighbours,
  one that begins with a heading is preferred.

Each page is one source, so the model sees and cites pages.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

from documents.answering.prompting import count_prompt_tokens
from documents.models import Chunk, Selection, Source
from documents.text import BYTES_PER_TOKEN

PositionedChunk = tuple[str, Chunk]  # a chunk and the id of its document
MAX_POSITIONS: Final = 50_000  # chunks of all chosen documents together of which positions are read
_MAX_SAMPLE_CANDIDATES: Final = 2_000  # chunks that are read to choose a sample
_EDGE_SHARE: Final = 0.25  # of the budget of a document, for its first page and for its last page
_GAP: Final = "\n\n"  # between the chunks of a page: no quote runs across it
_HEADING: Final = re.compile(
    r"\s*(?:#{1,6}\s+\S|(?:chapter|part|section|article|§)?\s*\d+(?:\.\d+)*\.?\s+\S.{0,80}\n|[^\n.!?]{3,60}\n)",
    re.IGNORECASE,
)


def may_fit(positions: Sequence[PositionedChunk], max_tokens: int) -> bool:
    """Whether the chunks may fit into the budget: a character has at least one byte."""
    return sum(chunk.end - chunk.start for _, chunk in positions) <= max_tokens * BYTES_PER_TOKEN


def on_pages(positions: Iterable[PositionedChunk], pages: Collection[int]) -> list[PositionedChunk]:
    return [(document_id, chunk) for document_id, chunk in positions if chunk.page in pages]


def sample_candidates(positions: Sequence[PositionedChunk]) -> list[PositionedChunk]:
    """The chunks among which a sample is chosen: all of them, or as many as may be read, at equal distances."""
    candidates: list[PositionedChunk] = []
    documents = [list(group) for _, group in groupby(positions, key=lambda entry: entry[0])]
    for chunks in documents:
        candidates += _evenly(chunks, max(2, _MAX_SAMPLE_CANDIDATES // len(documents)))
    return candidates


def whole_sources(
    chunks: Sequence[PositionedChunk], filenames: Mapping[str, str], selection: Selection
) -> tuple[Source, ...]:
    """A source for each page, in the order of the filenames and pages, numbered from 1."""
    by_document = {document_id: list(group) for document_id, group in groupby(chunks, key=lambda entry: entry[0])}
    sources = [
        _page_source([chunk for _, chunk in page_chunks], document_id, filenames[document_id], selection)
        for document_id in filenames
        for _, page_chunks in groupby(by_document.get(document_id, ()), key=lambda entry: entry[1].page)
    ]
    return tuple(replace(source, number=number) for number, source in enumerate(sources, start=1))


def fits(sources: Iterable[Source], max_tokens: int) -> bool:
    return sum(map(count_prompt_tokens, sources)) <= max_tokens


def sample_sources(
    chunks: Sequence[PositionedChunk], filenames: Mapping[str, str], max_tokens: int, selection: Selection = "sample"
) -> tuple[Source, ...]:
    """A sample that fits into the budget, of which each document gets an equal part."""
    by_document = {
        document_id: [chunk for _, chunk in group] for document_id, group in groupby(chunks, key=lambda entry: entry[0])
    }
    share = max_tokens // max(1, len(by_document))
    chosen = [
        (document_id, chunk)
        for document_id, candidates in by_document.items()
        for chunk in _sample(candidates, document_id, filenames[document_id], share)
    ]
    return whole_sources(chosen, filenames, selection)


def _sample(chunks: Sequence[Chunk], document_id: str, filename: str, max_tokens: int) -> list[Chunk]:
    tokens = {
        chunk.index: count_prompt_tokens(_page_source([chunk], document_id, filename, "sample")) for chunk in chunks
    }
    chosen: dict[int, Chunk] = {}
    left = max_tokens
    for ordered in (chunks, chunks[::-1]):
        left -= _take(
            chosen, [c for c in ordered if c.page == ordered[0].page], tokens, min(left, int(max_tokens * _EDGE_SHARE))
        )
    rest = [chunk for chunk in chunks if chunk.index not in chosen]
    average = max(1, sum(tokens.values()) // max(1, len(tokens)))
    _take(chosen, list(_prefer_headings(rest, left // average)), tokens, left)
    return sorted(chosen.values(), key=lambda chunk: chunk.index)


def _take(chosen: dict[int, Chunk], chunks: Iterable[Chunk], tokens: Mapping[int, int], max_tokens: int) -> int:
    """Add the chunks that fit, in order; returns their tokens."""
    taken = 0
    for chunk in chunks:
        if chunk.index not in chosen and taken + tokens[chunk.index] <= max_tokens:
            chosen[chunk.index] = chunk
            taken += tokens[chunk.index]
    return taken


def _prefer_headings(chunks: Sequence[Chunk], count: int) -> Iterator[Chunk]:
    """One chunk from each of `count` equal parts."""
    count = min(count, len(chunks))
    for number in range(count):
        part = chunks[number * len(chunks) // count : (number + 1) * len(chunks) // count]
        yield next((chunk for chunk in part if _HEADING.match(chunk.text)), part[0])


def _evenly(chunks: Sequence[PositionedChunk], count: int) -> list[PositionedChunk]:
    """`count` of the chunks at equal distances, with the first and the last one."""
    if len(chunks) <= count:
        return list(chunks)
    return [chunks[number * (len(chunks) - 1) // (count - 1)] for number in range(count)]


def _page_source(chunks: Sequence[Chunk], document_id: str, filename: str, selection: Selection) -> Source:
    """The chunks of one page as one source with the number 0. Overlaps occur once."""
    text, end = chunks[0].text, chunks[0].end
    for chunk in chunks[1:]:
        text += chunk.text[end - chunk.start :] if chunk.start < end else _GAP + chunk.text
        end = max(end, chunk.end)
    return Source(0, document_id, filename, chunks[0].page, text, 0.0, chunks[0].start, end, selection)
