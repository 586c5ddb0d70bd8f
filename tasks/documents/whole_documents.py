"""Reads the chosen documents for a request that a search does not answer: pages, whole documents or a sample."""

from collections.abc import Mapping, Sequence

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
from documents.models import EmbeddingModel, Source


async def find_whole_sources(
    table: ChunkTable,
    model: EmbeddingModel,
    tenant: str,
    filenames: Mapping[str, str],
    pages: Sequence[int],
    max_tokens: int,
) -> tuple[Source, ...]:
    """The requested pages of these documents; without any, whole documents, or a sample if they are too long."""
    positions = await table.positions(model, tenant, filenames, MAX_POSITIONS)
    if requested := on_pages(positions, pages):
        chunks = await _read(table, model, tenant, sample_candidates(requested))
        sources = whole_sources(chunks, filenames, "page")
        return sources if fits(sources, max_tokens) else sample_sources(chunks, filenames, max_tokens, "page")
    if may_fit(positions, max_tokens):
        chunks = await _read(table, model, tenant, positions)
        sources = whole_sources(chunks, filenames, "whole")
        return sources if fits(sources, max_tokens) else sample_sources(chunks, filenames, max_tokens)
    return sample_sources(await _read(table, model, tenant, sample_candidates(positions)), filenames, max_tokens)


async def _read(
    table: ChunkTable, model: EmbeddingModel, tenant: str, positions: Sequence[PositionedChunk]
) -> list[PositionedChunk]:
    return await table.read(model, tenant, {(document_id, chunk.index) for document_id, chunk in positions})
