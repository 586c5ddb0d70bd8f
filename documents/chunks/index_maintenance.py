"""Upkeep of a table of chunks: its indexes are made, told of what has come, and kept few, so that searches stay fast.

    words         full text; a row that it does not know yet is found by looking at it, which takes 0.03 ms
    document_id   B-tree
    tenant        bitmap
    vector        IVF_SQ, once it pays: until then each search looks at every vector, which is exact

It follows an ingest's commit and belongs to it, yet nothing but speed rests on it: cut short, or ahead of it another
process that does the same, a chunk is found all the same. LanceDB's own threads do the work, not the event loop.
"""

import asyncio
from datetime import timedelta
from typing import Final

from lancedb import AsyncTable
from lancedb.index import FTS, Bitmap, BTree, IvfSq

from documents.errors import ChunksUnavailable

MAX_EXACT_SEARCH_ROWS: Final = 20_000  # vectors that are all looked at: 20 ms; by an index 15 ms, of any number
_MAX_INDEX_PARTS: Final = 16  # of the vectors' index: each upkeep adds one, and searches look into each
_MAX_UNINDEXED_ROWS: Final = 100
_MAX_UNINDEXED_SHARE: Final = 1 / 256  # of a large table: the index of its words is written anew, 1 s of CPU at 100,000
_MAX_FRAGMENTS: Final = 128  # each commit adds one, and a search spends 0.1 ms on each
_VERSION_RETENTION: Final = timedelta(
    minutes=10
)  # nobody reads one version for so long; to clear it away would break him
_MAX_SECONDS: Final = 60.0
_MAX_INDEX_ATTEMPTS: Final = 10  # as many processes may make the table at the same moment
_SCALAR_INDEXES: Final[dict[str, FTS | BTree | Bitmap]] = {
    "search_text": FTS(with_position=False),
    "document_id": BTree(),
    "tenant": Bitmap(),
}


async def create_indexes(table: AsyncTable) -> None:
    """Those that every table has; where several processes make them at the same moment, all but one look again."""
    for _ in range(_MAX_INDEX_ATTEMPTS):
        indexed_columns = {column for index in await table.list_indices() for column in index.columns}
        missing = [column for column in _SCALAR_INDEXES if column not in indexed_columns]
        if not missing:
            return
        try:
            await table.create_index(missing[0], config=_SCALAR_INDEXES[missing[0]], replace=False)
        except RuntimeError:  # another process was faster
            continue
    raise ChunksUnavailable("the chunks' table could not be made; try again")


async def maintain_indexes(table: AsyncTable) -> None:
    """What is due. Ends in time: what it does not get done, or another process prevents, a later ingest does."""
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            await create_indexes(table)
            await _optimize(table)
            await _index_vectors(table)
    except (TimeoutError, RuntimeError):
        return


async def compact(table: AsyncTable) -> None:
    """Clear the texts of what was removed from the disk, as far as whole files, or a tenth of one, are concerned."""
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            await table.optimize(cleanup_older_than=_VERSION_RETENTION)
    except (TimeoutError, RuntimeError):
        return


async def _optimize(table: AsyncTable) -> None:
    """Index what has come, merge the small files of many small documents, and clear old versions away."""
    text_stats = await table.index_stats("search_text_idx")
    files = (await table.stats())["fragment_stats"]["num_fragments"]  # type: ignore[index]  # a dict at run time
    if text_stats is not None and needs_optimization(text_stats.num_indexed_rows, text_stats.num_unindexed_rows, files):
        await table.optimize(cleanup_older_than=_VERSION_RETENTION)


async def _index_vectors(table: AsyncTable) -> None:
    index = await table.index_stats("vector_idx")
    if needs_vector_index(await table.count_rows(), (index.num_indices or 0) if index else 0):
        config = IvfSq(distance_type="cosine")
        await table.create_index("vector", config=config)  # type: ignore[arg-type]  # forgotten in the annotation


def needs_optimization(indexed: int, unindexed: int, files: int) -> bool:
    """Whether searches have become slow enough to pay for putting the table in order."""
    return unindexed > max(_MAX_UNINDEXED_ROWS, indexed * _MAX_UNINDEXED_SHARE) or files > _MAX_FRAGMENTS


def needs_vector_index(rows: int, parts: int) -> bool:
    """Whether to make it, or to make it anew, of one part and with as many partitions as the table's size asks for."""
    return rows > MAX_EXACT_SEARCH_ROWS and not 0 < parts <= _MAX_INDEX_PARTS
