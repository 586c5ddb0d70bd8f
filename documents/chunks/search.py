"""Hybrid search in one table: by vector and by full text, fused into one ranking."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from lancedb import AsyncTable
from lancedb.expr import Expr

from documents.chunks.index_maintenance import has_current_text_index
from documents.chunks.rows import READ_COLUMNS, row_to_chunk
from documents.models import SearchHit
from documents.text import normalize_text, stems

_CANDIDATES: Final = 50  # rows per search, before fusion
_MIN_PROBES: Final = 20  # index partitions that are always searched; more, up to all, while candidates are too few
_REFINE_FACTOR: Final = (
    2  # times as many candidates of the index (one byte per number) are compared by their full vectors
)
_RANK_CONSTANT: Final = 60  # the usual k of reciprocal rank fusion: a larger k flattens the difference between ranks


async def search_table(table: AsyncTable, question: str, vector: bytes, where: Expr, limit: int) -> list[SearchHit]:
    query_vector = np.frombuffer(vector, "<f4")
    searches = [_search_by_vector(table, query_vector, where)]
    if tokens := stems(question):
        text = " ".join(dict.fromkeys(tokens)) if await has_current_text_index(table) else normalize_text(question)
        searches.append(_search_by_text(table, text, where))
    results = await asyncio.gather(*searches)
    rows = {row["key"]: row for result in results for row in _rows_with_similarity(result, query_vector)}
    ranked = _fuse([result["key"].to_pylist() for result in results])
    return [_to_hit(rows[key], score) for key, score in ranked[:limit]]


async def _search_by_vector(table: AsyncTable, query_vector: np.ndarray, where: Expr) -> pa.Table:
    """Exact in a table without a vector index, and nearly exact with one (see index_maintenance).

    The number of partitions has no upper limit: the nearest ones may contain few chunks of this tenant or document.
    """
    query = table.query().nearest_to(query_vector).distance_type("cosine").where(where).limit(_CANDIDATES)
    query = query.minimum_nprobes(_MIN_PROBES).maximum_nprobes(0).refine_factor(_REFINE_FACTOR)
    return await query.select([*READ_COLUMNS, "_distance"]).to_arrow()


async def _search_by_text(table: AsyncTable, text: str, where: Expr) -> pa.Table:
    query = table.query().nearest_to_text(text, columns="search_text").where(where)
    return await query.select([*READ_COLUMNS, "_score"]).limit(_CANDIDATES).to_arrow()


def _rows_with_similarity(result: pa.Table, query_vector: np.ndarray) -> list[dict[str, Any]]:
    """The rows with the cosine of question and chunk, which the full-text search does not return."""
    vectors = result["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, len(query_vector))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query_vector)
    similarities = (vectors @ query_vector) / np.where(lengths > 0, lengths, 1)
    rows = result.drop_columns(["vector"]).to_pylist()
    return [row | {"similarity": float(similarity)} for row, similarity in zip(rows, similarities, strict=True)]


def _to_hit(row: dict[str, Any], score: float) -> SearchHit:
    return SearchHit(row["document_id"], row_to_chunk(row), row["similarity"], score)


def _fuse(rankings: Sequence[Sequence[str]]) -> list[tuple[str, float]]:
    """Reciprocal rank fusion: the keys of all rankings with their scores, best first, ties in key order.

    LanceDB can fuse rankings itself, but then returns neither the cosine nor the candidates of each search. Both are
    needed to decide whether any chunk matches the question at all.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (_RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
