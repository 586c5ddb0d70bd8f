"""Index maintenance of a chunk table: creates the indexes, adds new rows to them and merges them to keep searches fast.

    search_text   full text; an unindexed row is found by scanning it, which takes 0.03 ms
    document_id   B-tree
    tenant        bitmap
    vector        IVF_SQ, for large tables only; in smaller ones each search compares every vector, which is exact

Maintenance runs after the commit of an ingest. It affects only speed: every chunk is found even if maintenance is
interrupted or another process does the same work first. LanceDB's own threads do the work, not the event loop.

A table of an older version has search texts of whole words and an index for English only. Maintenance rewrites these
texts and then the index; until then, such a table is searched as before.
"""

import asyncio
from datetime import timedelta
from typing import Final

from lancedb import AsyncTable
from lancedb.index import FTS, Bitmap, BTree, IvfSq

from documents.chunks.rows import SEARCH_TEXT_MARK, renew_search_texts
from documents.errors import ChunksUnavailable

MAX_EXACT_SEARCH_ROWS: Final = 20_000  # comparing all vectors takes 20 ms; an index takes 15 ms at any size
_MAX_INDEX_PARTS: Final = 16  # of the vector index; each maintenance run adds a part, and each search reads all parts
_MAX_UNINDEXED_ROWS: Final = 100
_MAX_UNINDEXED_SHARE: Final = 1 / 256  # of a large table; indexing rewrites the text index, 1 s of CPU at 100,000 rows
_MAX_FRAGMENTS: Final = 128  # each commit adds a fragment, and each fragment costs a search 0.1 ms
_VERSION_RETENTION: Final = timedelta(minutes=10)  # longer than any read: deleting a version breaks its readers
_MAX_SECONDS: Final = 60.0
_MAX_INDEX_ATTEMPTS: Final = 10  # processes that may create the indexes simultaneously
_REWRITTEN_ROWS: Final = 1_000  # per commit, when a table of an older version is rewritten
_TEXT_TOKENIZER: Final = "whitespace"  # the search texts are already cut into tokens
_TEXT_INDEX: Final = FTS(
    with_position=False,
    base_tokenizer=_TEXT_TOKENIZER,
    lower_case=False,
    stem=False,
    remove_stop_words=False,
    ascii_folding=False,
)
_SCALAR_INDEXES: Final[dict[str, FTS | BTree | Bitmap]] = {
    "search_text": _TEXT_INDEX,
    "document_id": BTree(),
    "tenant": Bitmap(),
}


async def create_indexes(table: AsyncTable) -> None:
    """Create the scalar indexes. When several processes do so simultaneously, all but one fail and check again."""
    for _ in range(_MAX_INDEX_ATTEMPTS):
        indexed_columns = {column for index in await table.list_indices() for column in index.columns}
        missing = [column for column in _SCALAR_INDEXES if column not in indexed_columns]
        if not missing:
            return
        try:
            await table.create_index(missing[0], config=_SCALAR_INDEXES[missing[0]], replace=False)
        except RuntimeError:  # another process was faster
            continue
    raise ChunksUnavailable("the indexes of the chunk table could not be created; try again")


async def maintain_indexes(table: AsyncTable) -> None:
    """Do the maintenance that is due, for at most a minute.

    Work that does not fit into that time, or that fails because of another process, is left to a later ingest.
    """
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            await create_indexes(table)
            await _renew_text_index(table)
            await _optimize(table)
            await _index_vectors(table)
    except (TimeoutError, RuntimeError):
        return


async def compact(table: AsyncTable) -> None:
    """Delete removed rows from the disk, in each file with at least a tenth of its rows removed."""
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            await _renew_text_index(table)
            await table.optimize(cleanup_older_than=_VERSION_RETENTION)
    except (TimeoutError, RuntimeError):
        return


async def has_current_text_index(table: AsyncTable) -> bool:
    """False for the index of an older version, which is searched with whole words."""
    return any(
        index.columns == ["search_text"] and (index.index_details or {}).get("base_tokenizer") == _TEXT_TOKENIZER
        for index in await table.list_indices()
    )


async def _renew_text_index(table: AsyncTable) -> None:
    """Rewrite the search texts and the index of an older version. May be interrupted at any time and run twice."""
    if await has_current_text_index(table):
        return
    rows = table.query().where(f"search_text NOT LIKE '{SEARCH_TEXT_MARK} %'").select(["key", "text"])
    async for batch in await rows.to_batches(max_batch_length=_REWRITTEN_ROWS):
        renewed = await asyncio.to_thread(renew_search_texts, batch)
        # A row that was removed meanwhile stays removed, and one that was replaced keeps its own search text.
        merge = table.merge_insert("key").when_matched_update_all(where="target.text = source.text")
        await merge.execute(renewed)
    await table.create_index("search_text", config=_TEXT_INDEX, replace=True)


async def _optimize(table: AsyncTable) -> None:
    """Index new rows, merge the small files of many small documents, and delete old versions."""
    text_stats = await table.index_stats("search_text_idx")
    files = (await table.stats())["fragment_stats"]["num_fragments"]  # type: ignore[index]  # a dict at run time
    if text_stats is not None and needs_optimization(text_stats.num_indexed_rows, text_stats.num_unindexed_rows, files):
        await table.optimize(cleanup_older_than=_VERSION_RETENTION)


async def _index_vectors(table: AsyncTable) -> None:
    index = await table.index_stats("vector_idx")
    if needs_vector_index(await table.count_rows(), (index.num_indices or 0) if index else 0):
        config = IvfSq(distance_type="cosine")
        await table.create_index("vector", config=config)  # type: ignore[arg-type]  # missing from the annotation


def needs_optimization(indexed: int, unindexed: int, files: int) -> bool:
    """Whether searches have become slow enough to justify optimizing the table."""
    return unindexed > max(_MAX_UNINDEXED_ROWS, indexed * _MAX_UNINDEXED_SHARE) or files > _MAX_FRAGMENTS


def needs_vector_index(rows: int, parts: int) -> bool:
    """Whether to create the vector index, or to rebuild it as one part with the number of partitions for this size."""
    return rows > MAX_EXACT_SEARCH_ROWS and not 0 < parts <= _MAX_INDEX_PARTS
