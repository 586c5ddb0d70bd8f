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

EXACT_UP_TO: Final = 20_000  # vectors that are all looked at: 20 ms; by an index 15 ms, of any number
_MOST_PARTS: Final = 16  # of the vectors' index: each upkeep adds one, and searches look into each
_UNINDEXED_ROWS: Final = 100
_UNINDEXED_SHARE: Final = 1 / 256  # of a large table: the index of its words is written anew, 1 s of CPU at 100,000
_SMALL_FILES: Final = 128  # each commit adds one, and a search spends 0.1 ms on each
_KEPT_VERSIONS: Final = timedelta(minutes=10)  # nobody reads one version for so long; to clear it away would break him
_MOST_SECONDS: Final = 60.0
_INDEX_TRIES: Final = 10  # as many processes may make the table at the same moment
_SCALAR_INDEXES: Final[dict[str, FTS | BTree | Bitmap]] = {
    "words": FTS(with_position=False),
    "document_id": BTree(),
    "tenant": Bitmap(),
}


async def make_indexes(table: AsyncTable) -> None:
    """Those that every table has; where several processes make them at the same moment, all but one look again."""
    for _ in range(_INDEX_TRIES):
        indexed = {column for index in await table.list_indices() for column in index.columns}
        missing = [column for column in _SCALAR_INDEXES if column not in indexed]
        if not missing:
            return
        try:
            await table.create_index(missing[0], config=_SCALAR_INDEXES[missing[0]], replace=False)
        except RuntimeError:  # another process was faster
            continue
    raise ChunksUnavailable("the chunks' table could not be made; try again")


async def keep_fast(table: AsyncTable) -> None:
    """What is due. Ends in time: what it does not get done, or another process prevents, a later ingest does."""
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            await make_indexes(table)
            await _put_in_order(table)
            await _index_vectors(table)
    except (TimeoutError, RuntimeError):
        return


async def purge(table: AsyncTable) -> None:
    """Clear the texts of what was removed from the disk, as far as whole files, or a tenth of one, are concerned."""
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            await table.optimize(cleanup_older_than=_KEPT_VERSIONS)
    except (TimeoutError, RuntimeError):
        return


async def _put_in_order(table: AsyncTable) -> None:
    """Index what has come, merge the small files of many small documents, and clear old versions away."""
    words = await table.index_stats("words_idx")
    files = (await table.stats())["fragment_stats"]["num_fragments"]  # type: ignore[index]  # a dict at run time
    if words is not None and is_out_of_order(words.num_indexed_rows, words.num_unindexed_rows, files):
        await table.optimize(cleanup_older_than=_KEPT_VERSIONS)


async def _index_vectors(table: AsyncTable) -> None:
    index = await table.index_stats("vector_idx")
    if needs_vector_index(await table.count_rows(), (index.num_indices or 0) if index else 0):
        config = IvfSq(distance_type="cosine")
        await table.create_index("vector", config=config)  # type: ignore[arg-type]  # forgotten in the annotation


def is_out_of_order(indexed: int, unindexed: int, files: int) -> bool:
    """Whether searches have become slow enough to pay for putting the table in order."""
    return unindexed > max(_UNINDEXED_ROWS, indexed * _UNINDEXED_SHARE) or files > _SMALL_FILES


def needs_vector_index(rows: int, parts: int) -> bool:
    """Whether to make it, or to make it anew, of one part and with as many partitions as the table's size asks for."""
    return rows > EXACT_UP_TO and not 0 < parts <= _MOST_PARTS
