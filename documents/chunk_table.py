"""Where chunks and their vectors are kept: one LanceDB table for each embedding model.

    chunks_<digest of the model>   key (primary), document_id, tenant, index, page, start, end, text, words, vector
                                   `words` is the text as it is searched; the model's name stands in the schema

A document is replaced in one commit, keyed by document and index: all its chunks are there, or none. So an ingest that
dies needs no clearing up and no mark of completeness, and two that run at once leave one set: Lance sees that both
wrote the same keys, and lets the second try again over the first. Any number of processes may read and write.

One table for each model, so that vectors of two models can never be compared; a question to a document that was kept
with another is answered with an error that names both.

Imports LanceDB (1.6 s, 130 MB) at the first use, in the process that uses it: never before a fork, never in the web
process, whose greenlets its threads do not know.
"""

import asyncio
import hashlib
import importlib
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from documents.errors import ChunksUnavailable, DocumentsNotInstalled, EmbeddingModelChanged
from documents.models import Chunk, EmbeddingModel, Found

if TYPE_CHECKING:
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.expr import Expr

_PREFIX: Final = "chunks_"
_INDEXES: Final = ("words", "document_id")
_INDEX_TRIES: Final = 10  # as many processes may make the table at the same moment
_UNINDEXED_ROWS: Final = 1_000  # words in rows that are not indexed yet are found, but by looking at each: 1 ms a 100
_SMALL_FILES: Final = 32  # each commit adds one, and each search opens all
_KEPT_VERSIONS: Final = timedelta(hours=1)  # a reader of a version that is cleared away under it would fail


class ChunkTable:
    """The chunks of all documents. Safe to share between the coroutines of one event loop."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection

    @classmethod
    async def open(cls, url: str) -> "ChunkTable":
        """At a folder or an object store's URL (s3://, gs://, abfss://), whose credentials are in the environment."""
        try:
            lancedb = await asyncio.to_thread(importlib.import_module, "lancedb")
        except ImportError:
            raise DocumentsNotInstalled from None
        always = timedelta(0)  # what another process has committed is seen by the next call
        return cls(await lancedb.connect_async(url, read_consistency_interval=always))

    async def replace(
        self, document_id: str, tenant: str, model: EmbeddingModel, chunks: Sequence[Chunk], vectors: Sequence[bytes]
    ) -> None:
        """Keep these chunks, and no others, as the document's; all at once. May be done twice, also at the same time.

        A vector is as many little-endian float32 as the model has dimensions.
        """
        from documents.chunk_rows import of_document, rows_of

        rows = rows_of(document_id, tenant, model, chunks, vectors)
        table = await self._table(model)
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        await merge.when_not_matched_by_source_delete(of_document(document_id)).execute(rows)
        await self._remove_elsewhere(document_id, model)
        await _keep_fast(table)

    async def remove(self, document_id: str) -> None:
        """Under whichever model. A document that has no chunks is no error."""
        await self._remove_elsewhere(document_id, None)

    async def count(self, document_id: str) -> int:
        from documents.chunk_rows import of_document

        where = of_document(document_id).to_sql()
        return sum([await table.count_rows(where) for table in await self._tables()])

    async def search(
        self,
        question: str,
        vector: bytes,
        model: EmbeddingModel,
        tenant: str,
        document_ids: Collection[str] | None = None,
        limit: int = 20,
    ) -> list[Found]:
        """The chunks that fit best by meaning and by words, the best first; of these documents, or all the tenant's.

        Raises EmbeddingModelChanged where one of the documents was kept with another model.
        """
        from documents.chunk_rows import of_documents, of_tenant
        from documents.chunk_search import search_table

        where = of_tenant(tenant)
        if document_ids is not None:
            where &= of_documents(sorted(document_ids))
        tables = await self._tables()
        await _refuse_other_models(tables, where, model)
        mine = next((table for table in tables if table.name == _name(model)), None)
        if mine is None or (document_ids is not None and not document_ids):
            return []
        return await search_table(mine, question, vector, where, limit)

    async def _remove_elsewhere(self, document_id: str, kept: EmbeddingModel | None) -> None:
        from documents.chunk_rows import of_document

        for table in await self._tables():
            if kept is None or table.name != _name(kept):
                await table.delete(of_document(document_id))

    async def _tables(self) -> list["AsyncTable"]:
        names = (await self._connection.list_tables()).tables
        return [await self._connection.open_table(name) for name in names if name.startswith(_PREFIX)]

    async def _table(self, model: EmbeddingModel) -> "AsyncTable":
        from documents.chunk_rows import schema_of

        table = await self._connection.create_table(_name(model), schema=schema_of(model), exist_ok=True)
        await _index(table)
        return table


def _name(model: EmbeddingModel) -> str:
    return _PREFIX + hashlib.sha256(str(model).encode()).hexdigest()[:16]


async def _index(table: "AsyncTable") -> None:
    """Once; where several processes do it at the same moment, all but one are told to look again."""
    from lancedb.index import FTS, BTree

    for _ in range(_INDEX_TRIES):
        indexed = {column for index in await table.list_indices() for column in index.columns}
        missing = [column for column in _INDEXES if column not in indexed]
        if not missing:
            return
        config = FTS(with_position=False) if missing[0] == "words" else BTree()
        try:
            await table.create_index(missing[0], config=config, replace=False)
        except RuntimeError:  # another process was faster
            continue
    raise ChunksUnavailable("the chunks' table could not be made; try again")


async def _refuse_other_models(tables: list["AsyncTable"], where: "Expr", model: EmbeddingModel) -> None:
    from documents.chunk_rows import model_of

    for table in tables:
        if table.name != _name(model) and await table.count_rows(where.to_sql()):
            raise EmbeddingModelChanged(
                f"the documents were kept with {model_of(await table.schema())}, the question comes with {model}: "
                "ingest them again"
            )


async def _keep_fast(table: "AsyncTable") -> None:
    """Index what has come, and merge the small files of many small documents."""
    stats = await table.stats()
    words = await table.index_stats("words_idx")
    unindexed = words.num_unindexed_rows if words else 0
    files = stats["fragment_stats"]["num_fragments"]  # type: ignore[index]  # a dict, whatever its declaration says
    if unindexed <= _UNINDEXED_ROWS and files <= _SMALL_FILES:
        return
    try:
        await table.optimize(cleanup_older_than=_KEPT_VERSIONS)
    except RuntimeError:  # another process wrote meanwhile; the next document's ingest will do it
        return
