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
from documents.models import Chunk, EmbeddingModel, SearchHit

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.expr import Expr

_PREFIX: Final = "chunks_"
_MAX_CREATE_ATTEMPTS: Final = 10  # as many processes may make a table at the same moment
_INDEX_CACHE_BYTES: Final = 256 * 1024**2  # LanceDB's own limits are 6 GB and 1 GB a process
_METADATA_CACHE_BYTES: Final = 64 * 1024**2


class ChunkTable:
    """The chunks of all documents. Safe to share between the coroutines of one event loop."""

    def __init__(self, connection: "AsyncConnection") -> None:
        self._connection = connection
        self._open_tables: dict[str, AsyncTable] = {}  # each looks for itself whether others have committed
        self._maintenance_lock = asyncio.Lock()

    @classmethod
    async def open(cls, url: str) -> "ChunkTable":
        """At a folder or an object store's URL (s3://, gs://, abfss://), whose credentials are in the environment."""
        try:
            lancedb = await asyncio.to_thread(importlib.import_module, "lancedb")
        except ImportError:
            raise DocumentsNotInstalled from None
        no_staleness = timedelta(0)  # what another process has committed is seen by the next call
        caches = lancedb.Session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES)
        return cls(await lancedb.connect_async(url, read_consistency_interval=no_staleness, session=caches))

    async def replace(
        self, document_id: str, tenant: str, model: EmbeddingModel, chunks: Sequence[Chunk], vectors: Sequence[bytes]
    ) -> None:
        """Keep these chunks, and no others, as the document's; all at once. May be done twice, also at the same time.

        A vector is as many little-endian float32 as the model has dimensions.
        """
        from documents.chunks.index_maintenance import maintain_indexes
        from documents.chunks.rows import build_rows, document_filter

        rows = await asyncio.to_thread(build_rows, document_id, tenant, model, chunks, vectors)
        table = await self._open_or_create(model)
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        await merge.when_not_matched_by_source_delete(document_filter(document_id)).execute(rows)
        await self._remove_from_other_tables(document_id, model)
        if (
            not self._maintenance_lock.locked()
        ):  # two at once would undo each other's work; the next ingest does the rest
            async with self._maintenance_lock:
                await maintain_indexes(table)

    async def remove(self, document_id: str) -> None:
        """Under whichever model. A document that has no chunks is no error."""
        await self._remove_from_other_tables(document_id, None)

    async def compact(self) -> None:
        """Clear what was removed some time ago from the disk too: until then no search finds it, but it is there.

        Rows that are less than a tenth of a file of a hundred thousand stay in it until more of them are removed.
        """
        from documents.chunks.index_maintenance import compact

        async with self._maintenance_lock:
            for table in await self._all_tables():
                await compact(table)

    async def count(self, document_id: str) -> int:
        from documents.chunks.rows import document_filter

        where = document_filter(document_id).to_sql()
        return sum([await table.count_rows(where) for table in await self._all_tables()])

    async def search(
        self,
        question: str,
        vector: bytes,
        model: EmbeddingModel,
        tenant: str,
        document_ids: Collection[str] | None = None,
        limit: int = 20,
    ) -> list[SearchHit]:
        """The chunks that fit best by meaning and by words, the best first; of these documents, or all the tenant's.

        Of those that were kept with this model.
        """
        from documents.chunks.search import search_table

        where = _scope_filter(tenant, document_ids)
        table = await self._open_existing(_table_name(model))
        if table is None or (document_ids is not None and not document_ids):
            return []
        return await search_table(table, question, vector, where, limit)

    async def documents_of_other_models(
        self, model: EmbeddingModel, tenant: str, document_ids: Collection[str] | None = None
    ) -> dict[str, str]:
        """The documents of which there are chunks of another model, with that model; of these, or all the tenant's."""
        from documents.chunks.rows import stored_model

        where, models = _scope_filter(tenant, document_ids), dict[str, str]()
        for table in await self._all_tables():
            if table.name != _table_name(model) and await table.count_rows(where.to_sql()):
                rows = await table.query().where(where).select(["document_id"]).to_arrow()
                models |= dict.fromkeys(rows["document_id"].unique().to_pylist(), stored_model(await table.schema()))
        return models

    async def _remove_from_other_tables(self, document_id: str, current_model: EmbeddingModel | None) -> None:
        from documents.chunks.rows import document_filter

        for table in await self._all_tables():
            if current_model is None or table.name != _table_name(current_model):
                await table.delete(document_filter(document_id))

    async def _all_tables(self) -> list["AsyncTable"]:
        names = (await self._connection.list_tables()).tables
        tables = [await self._open_existing(name) for name in names if name.startswith(_PREFIX)]
        return [table for table in tables if table is not None]

    async def _open_existing(self, name: str) -> "AsyncTable | None":
        """None for a table that another process is just making: its folder is there before its first version."""
        if name not in self._open_tables:
            try:
                self._open_tables[name] = await self._connection.open_table(name)
            except ValueError:
                return None
        return self._open_tables[name]

    async def _open_or_create(self, model: EmbeddingModel) -> "AsyncTable":
        from documents.chunks.index_maintenance import create_indexes
        from documents.chunks.rows import chunk_schema

        if (table := self._open_tables.get(_table_name(model))) is None:
            table = await self._create_table(_table_name(model), chunk_schema(model))
            await create_indexes(table)
        return table

    async def _create_table(self, name: str, schema: "pa.Schema") -> "AsyncTable":
        """Also when other processes do it at the same moment: all but one are told to look again."""
        for _ in range(_MAX_CREATE_ATTEMPTS):
            try:
                return await self._connection.create_table(name, schema=schema, exist_ok=True)
            except RuntimeError:
                continue
        raise ChunksUnavailable("the chunks' table could not be made; try again")


def _table_name(model: EmbeddingModel) -> str:
    return _PREFIX + hashlib.sha256(str(model).encode()).hexdigest()[:16]


def _scope_filter(tenant: str, document_ids: Collection[str] | None) -> "Expr":
    from documents.chunks.rows import documents_filter, tenant_filter

    where = tenant_filter(tenant)
    return where if document_ids is None else where & documents_filter(sorted(document_ids))
