"""Where chunks and their vectors are kept: one LanceDB table for each embedding model.

    chunks_<digest of the model>   key (primary), document_id, tenant, index, page, start, end, text, words, vector
                                   `words` is the text as it is searched; the model's name stands in the schema

A document is replaced in one commit, keyed by document and index: all its chunks are there, or none. So an ingest that
dies needs no clearing up and no mark of completeness, and two that run at once leave one set: Lance sees that both
wrote the same keys, and lets the second try again over the first. Any number of processes may read and write.

One table for each model, so that vectors of two models can never be compared; a search finds nothing of a document
that was kept with another, and whoever searches asks for such.

Imports LanceDB (1.6 s, 130 MB) at the first use, in the process that uses it: never before a fork, never in the web
process, whose greenlets its threads do not know.
"""

import asyncio
import hashlib
import importlib
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from documents.errors import ChunksUnavailable, DocumentsNotInstalled
from documents.models import Chunk, EmbeddingModel, Found

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.expr import Expr

_PREFIX: Final = "chunks_"
_CREATE_TRIES: Final = 10  # as many processes may make a table at the same moment
_INDEX_CACHE_BYTES: Final = 256 * 1024**2  # LanceDB's own limits are 6 GB and 1 GB a process
_METADATA_CACHE_BYTES: Final = 64 * 1024**2


class ChunkTable:
    """The chunks of all documents. Safe to share between the coroutines of one event loop."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection
        self._opened: dict[str, AsyncTable] = {}  # each looks for itself whether others have committed
        self._upkeep = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> "ChunkTable":
        """At a folder or an object store's URL (s3://, gs://, abfss://), whose credentials are in the environment."""
        try:
            lancedb = await asyncio.to_thread(importlib.import_module, "lancedb")
        except ImportError:
            raise DocumentsNotInstalled from None
        always = timedelta(0)  # what another process has committed is seen by the next call
        caches = lancedb.Session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES)
        return cls(await lancedb.connect_async(url, read_consistency_interval=always, session=caches))

    async def replace(
        self, document_id: str, tenant: str, model: EmbeddingModel, chunks: Sequence[Chunk], vectors: Sequence[bytes]
    ) -> None:
        """Keep these chunks, and no others, as the document's; all at once. May be done twice, also at the same time.

        A vector is as many little-endian float32 as the model has dimensions.
        """
        from documents.chunk_rows import of_document, rows_of
        from documents.index_maintenance import keep_fast

        rows = await asyncio.to_thread(rows_of, document_id, tenant, model, chunks, vectors)
        table = await self._table(model)
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        await merge.when_not_matched_by_source_delete(of_document(document_id)).execute(rows)
        await self._remove_elsewhere(document_id, model)
        if not self._upkeep.locked():  # two at once would undo each other's work; the next ingest does the rest
            async with self._upkeep:
                await keep_fast(table)

    async def remove(self, document_id: str) -> None:
        """Under whichever model. A document that has no chunks is no error."""
        await self._remove_elsewhere(document_id, None)

    async def purge(self) -> None:
        """Clear what was removed some time ago from the disk too: until then no search finds it, but it is there.

        Rows that are less than a tenth of a file of a hundred thousand stay in it until more of them are removed.
        """
        from documents.index_maintenance import purge

        async with self._upkeep:
            for table in await self._tables():
                await purge(table)

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

        Of those that were kept with this model.
        """
        from documents.chunk_search import search_table

        where = _scope(tenant, document_ids)
        mine = await self._open(_name(model))
        if mine is None or (document_ids is not None and not document_ids):
            return []
        return await search_table(mine, question, vector, where, limit)

    async def kept_otherwise(
        self, model: EmbeddingModel, tenant: str, document_ids: Collection[str] | None = None
    ) -> dict[str, str]:
        """The documents of which there are chunks of another model, with that model; of these, or all the tenant's."""
        from documents.chunk_rows import model_of

        where, kept = _scope(tenant, document_ids), dict[str, str]()
        for table in await self._tables():
            if table.name != _name(model) and await table.count_rows(where.to_sql()):
                rows = await table.query().where(where).select(["document_id"]).to_arrow()
                kept |= dict.fromkeys(rows["document_id"].unique().to_pylist(), model_of(await table.schema()))
        return kept

    async def _remove_elsewhere(self, document_id: str, kept: EmbeddingModel | None) -> None:
        from documents.chunk_rows import of_document

        for table in await self._tables():
            if kept is None or table.name != _name(kept):
                await table.delete(of_document(document_id))

    async def _tables(self) -> list["AsyncTable"]:
        names = (await self._connection.list_tables()).tables
        tables = [await self._open(name) for name in names if name.startswith(_PREFIX)]
        return [table for table in tables if table is not None]

    async def _open(self, name: str) -> "AsyncTable | None":
        """None for a table that another process is just making: its folder is there before its first version."""
        if name not in self._opened:
            try:
                self._opened[name] = await self._connection.open_table(name)
            except ValueError:
                return None
        return self._opened[name]

    async def _table(self, model: EmbeddingModel) -> "AsyncTable":
        from documents.chunk_rows import schema_of
        from documents.index_maintenance import make_indexes

        if (table := self._opened.get(_name(model))) is None:
            table = await self._create(_name(model), schema_of(model))
            await make_indexes(table)
        return table

    async def _create(self, name: str, schema: "pa.Schema") -> "AsyncTable":
        """Also when other processes do it at the same moment: all but one are told to look again."""
        for _ in range(_CREATE_TRIES):
            try:
                return await self._connection.create_table(name, schema=schema, exist_ok=True)
            except RuntimeError:
                continue
        raise ChunksUnavailable("the chunks' table could not be made; try again")


def _name(model: EmbeddingModel) -> str:
    return _PREFIX + hashlib.sha256(str(model).encode()).hexdigest()[:16]


def _scope(tenant: str, document_ids: Collection[str] | None) -> "Expr":
    from documents.chunk_rows import of_documents, of_tenant

    where = of_tenant(tenant)
    return where if document_ids is None else where & of_documents(sorted(document_ids))
