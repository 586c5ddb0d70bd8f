"""The search itself: by meaning and by words, each question to one table."""

import asyncio
import math
import struct
from collections.abc import Sequence
from typing import Any, Final

from lancedb import AsyncTable
from lancedb.expr import Expr

from documents.chunk_rows import READ_COLUMNS, chunk_of
from documents.fusing import fuse
from documents.models import Found
from documents.words import stems

_CANDIDATES: Final = 50  # of each search, before they are fused


async def search_table(table: AsyncTable, question: str, vector: bytes, where: Expr, limit: int) -> list[Found]:
    asked = struct.unpack(f"<{len(vector) // 4}f", vector)
    near, worded = await asyncio.gather(_by_vector(table, asked, where), _by_words(table, question, where))
    rows = {row["key"]: row for row in (*near, *worded)}
    ranked = fuse([[row["key"] for row in near], [row["key"] for row in worded]])
    return [_found(rows[key], score, asked) for key, score in ranked[:limit]]


def _found(row: dict[str, Any], score: float, asked: Sequence[float]) -> Found:
    return Found(row["document_id"], chunk_of(row), _cosine(asked, row["vector"]), score)


async def _by_vector(table: AsyncTable, asked: Sequence[float], where: Expr) -> list[dict[str, Any]]:
    """Exact: at 100,000 chunks looking at all of them takes less than a tenth of a second."""
    columns = [*READ_COLUMNS, "_distance"]
    query = table.query().nearest_to(list(asked)).distance_type("cosine").where(where)
    return await query.select(columns).limit(_CANDIDATES).to_list()


async def _by_words(table: AsyncTable, question: str, where: Expr) -> list[dict[str, Any]]:
    if not stems(question):
        return []
    columns = [*READ_COLUMNS, "_score"]
    query = table.query().nearest_to_text(question, columns="words").where(where)
    return await query.select(columns).limit(_CANDIDATES).to_list()


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0
