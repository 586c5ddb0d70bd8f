"""The search itself: by meaning and by words, each question to one table."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from lancedb import AsyncTable
from lancedb.expr import Expr

from documents.chunk_rows import READ_COLUMNS, chunk_of
from documents.models import Found
from documents.words import stems

_CANDIDATES: Final = 50  # of each search, before they are fused
_PROBES: Final = 20  # partitions that are always looked into; more, up to all, while too few candidates have come
_REFINED: Final = 2  # times as many candidates, rounded to a byte a number in the index, are compared by their vectors

_RANK_CONSTANT: Final = 60  # the usual one: how soon later ranks count as much as earlier ones


async def search_table(table: AsyncTable, question: str, vector: bytes, where: Expr, limit: int) -> list[Found]:
    asked = np.frombuffer(vector, "<f4")
    searches = [_by_vector(table, asked, where)]
    if stems(question):
        searches.append(_by_words(table, question, where))
    results = await asyncio.gather(*searches)
    rows = {row["key"]: row for result in results for row in _rows(result, asked)}
    ranked = _fuse([result["key"].to_pylist() for result in results])
    return [_found(rows[key], score) for key, score in ranked[:limit]]


async def _by_vector(table: AsyncTable, asked: np.ndarray, where: Expr) -> pa.Table:
    """Exact in a table without an index of vectors, and in others all but so (documents/index_maintenance.py).

    Without a limit to the partitions: the nearest ones may hold little of one tenant's or one document's.
    """
    query = table.query().nearest_to(asked).distance_type("cosine").where(where).limit(_CANDIDATES)
    query = query.minimum_nprobes(_PROBES).maximum_nprobes(0).refine_factor(_REFINED)
    return await query.select([*READ_COLUMNS, "_distance"]).to_arrow()


async def _by_words(table: AsyncTable, question: str, where: Expr) -> pa.Table:
    query = table.query().nearest_to_text(question, columns="words").where(where)
    return await query.select([*READ_COLUMNS, "_score"]).limit(_CANDIDATES).to_arrow()


def _rows(found: pa.Table, asked: np.ndarray) -> list[dict[str, Any]]:
    """With the cosine of question and chunk, which the search by words does not know."""
    vectors = found["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, len(asked))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(asked)
    similarities = (vectors @ asked) / np.where(lengths > 0, lengths, 1)
    rows = found.drop_columns(["vector"]).to_pylist()
    return [row | {"similarity": float(similarity)} for row, similarity in zip(rows, similarities, strict=True)]


def _found(row: dict[str, Any], score: float) -> Found:
    return Found(row["document_id"], chunk_of(row), row["similarity"], score)


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
