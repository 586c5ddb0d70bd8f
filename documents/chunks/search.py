"""The search itself: by meaning and by words, each question to one table."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from lancedb import AsyncTable
from lancedb.expr import Expr

from documents.chunks.rows import READ_COLUMNS, row_to_chunk
from documents.models import SearchHit
from documents.text import stems

_CANDIDATES: Final = 50  # of each search, before they are fused
_MIN_PROBES: Final = 20  # partitions that are always looked into; more, up to all, while too few candidates have come
_REFINE_FACTOR: Final = (
    2  # times as many candidates, rounded to a byte a number in the index, are compared by their vectors
)

_RANK_CONSTANT: Final = 60  # the usual one: how soon later ranks count as much as earlier ones


async def search_table(table: AsyncTable, question: str, vector: bytes, where: Expr, limit: int) -> list[SearchHit]:
    query_vector = np.frombuffer(vector, "<f4")
    searches = [_search_by_vector(table, query_vector, where)]
    if stems(question):
        searches.append(_search_by_text(table, question, where))
    results = await asyncio.gather(*searches)
    rows = {row["key"]: row for result in results for row in _rows_with_similarity(result, query_vector)}
    ranked = _fuse([result["key"].to_pylist() for result in results])
    return [_to_hit(rows[key], score) for key, score in ranked[:limit]]


async def _search_by_vector(table: AsyncTable, query_vector: np.ndarray, where: Expr) -> pa.Table:
    """Exact in a table without an index of vectors, and in others all but so (documents/index_maintenance.py).

    Without a limit to the partitions: the nearest ones may hold little of one tenant's or one document's.
    """
    query = table.query().nearest_to(query_vector).distance_type("cosine").where(where).limit(_CANDIDATES)
    query = query.minimum_nprobes(_MIN_PROBES).maximum_nprobes(0).refine_factor(_REFINE_FACTOR)
    return await query.select([*READ_COLUMNS, "_distance"]).to_arrow()


async def _search_by_text(table: AsyncTable, question: str, where: Expr) -> pa.Table:
    query = table.query().nearest_to_text(question, columns="search_text").where(where)
    return await query.select([*READ_COLUMNS, "_score"]).limit(_CANDIDATES).to_arrow()


def _rows_with_similarity(result: pa.Table, query_vector: np.ndarray) -> list[dict[str, Any]]:
    """With the cosine of question and chunk, which the search by words does not know."""
    vectors = result["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, len(query_vector))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(query_vector)
    similarities = (vectors @ query_vector) / np.where(lengths > 0, lengths, 1)
    rows = result.drop_columns(["vector"]).to_pylist()
    return [row | {"similarity": float(similarity)} for row, similarity in zip(rows, similarities, strict=True)]


def _to_hit(row: dict[str, Any], score: float) -> SearchHit:
    return SearchHit(row["document_id"], row_to_chunk(row), row["similarity"], score)


def _fuse(rankings: Sequence[Sequence[str]]) -> list[tuple[str, float]]:
    """One ranking out of several, by reciprocal rank: keys with their scores, best first, ties in key order.

    LanceDB can fuse rankings itself, but then returns neither the cosine nor the candidates of each search; both are
    needed to decide whether anything fits the question at all.
    """
    scores: dict[str, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            scores[key] += 1 / (_RANK_CONSTANT + rank)
    return sorted(scores.items(), key=lambda scored: (-scored[1], scored[0]))
