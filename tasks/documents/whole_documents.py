"""Reads the chosen documents for a request that a search does not answer: pages, or all their text."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from documents.answering.sections import MAX_SECTIONS, Section, cut_sections
from documents.answering.whole_documents import (
    MAX_POSITIONS,
    PositionedChunk,
    fits,
    may_fit,
    on_pages,
    sample_candidates,
    sample_sources,
    whole_sources,
)
from documents.chunks.table import ChunkTable
from documents.models import EmbeddingModel, Selection, Source


@dataclass(frozen=True, slots=True)
class LongDocuments:
    """Documents that are summarized section by section, because they do not fit into one prompt."""

    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class WholeRequest:
    """What is asked of whole documents.

    ``filenames``: of the chosen documents, by id. ``pages``: those that the message names. ``wants_summary``: all text
    has to be read, however long it is.
    """

    model: EmbeddingModel
    tenant: str
    filenames: Mapping[str, str]
    pages: Sequence[int]
    wants_summary: bool


async def find_whole_sources(
    table: ChunkTable, request: WholeRequest, max_tokens: int
) -> tuple[Source, ...] | LongDocuments:
    """The requested pages of these documents; without any, the whole documents.

    If they are too long for one prompt: their sections for a summary, and a sample for anything else.
    """
    positions = await table.positions(request.model, request.tenant, request.filenames, MAX_POSITIONS)
    requested = on_pages(positions, request.pages)
    wanted = requested or positions
    selection: Selection = "page" if requested else "whole"
    if may_fit(wanted, max_tokens * (MAX_SECTIONS if request.wants_summary else 1)):
        sources = whole_sources(await _read(table, request, wanted), request.filenames, selection)
        if fits(sources, max_tokens):
            return sources
        sections = await asyncio.to_thread(cut_sections, sources, max_tokens) if request.wants_summary else ()
        if sections:
            return LongDocuments(sections)
    chunks = await _read(table, request, sample_candidates(wanted))
    sampled_as: Selection = "page" if requested else "sample"
    return sample_sources(chunks, request.filenames, max_tokens, sampled_as)


async def _read(
    table: ChunkTable, request: WholeRequest, positions: Sequence[PositionedChunk]
) -> list[PositionedChunk]:
    wanted = {(document_id, chunk.index) for document_id, chunk in positions}
    return await table.read(request.model, request.tenant, wanted)
