"""Stores chunks and their vectors: one LanceDB table per embedding model and tenant.

    chunks_<digest of the model>                        of the default tenant
    chunks_<digest of the model>_<digest of the name>   of another tenant

For the columns see rows.py. The schema's metadata contains the model's name.

A document is replaced in one commit, keyed by document and chunk index: either all its chunks are stored or none. An
interrupted ingest therefore needs no clean-up and no completeness flag. Two concurrent ingests leave one set: Lance
detects that both wrote the same keys and retries the second on top of the first. Any number of processes may read and
write.

Lance does not create a table atomically (lance#4451): a process that creates a table at the same time as another one
may replace the other's table, with all chunks in it. So a process waits for its turn to create one (``CreationTurn``),
or until another process has created it.

There is one table per tenant, so a search without its filter finds nothing of another tenant.

There is one table per model, so vectors of two models can never be compared. A search does not find documents that were
stored with another model; the caller checks for them with `documents_of_other_models`.

LanceDB (1.6 s, 130 MB) is imported on first use, in the process that uses it. It must never be imported before a fork,
nor in the web process, because its threads do not work with greenlets. That is why functions here import rows.py,
search.py and index_maintenance.py, which need LanceDB.
"""

import asyncio
import hashlib
import importlib
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from documents.errors import ChunksUnavailable, DocumentsNotInstalled
from documents.models import Chunk, EmbeddingModel, SearchHit

if TYPE_CHECKING:
    import pyarrow as pa
    from lancedb import AsyncConnection, AsyncTable
    from lancedb.expr import Expr

_PREFIX: Final = "chunks_"
_DIGEST_CHARS: Final = 16
_DEFAULT_TENANT: Final = "default"  # as in jobs.tenant
_CREATE_SECONDS: Final = 90.0  # longer than a process that dies while it creates a table keeps others from doing so
_CREATE_POLL_SECONDS: Final = 0.1
_INDEX_CACHE_BYTES: Final = 256 * 1024**2  # LanceDB's defaults are 6 GB and 1 GB per process
_METADATA_CACHE_BYTES: Final = 64 * 1024**2
# Takes a table's name. Enters with whether this process may create the table; no other process may until it exits.
CreationTurn: TypeAlias = Callable[[str], AbstractAsyncContextManager[bool]]


def always(_: str) -> AbstractAsyncContextManager[bool]:
    """The turn of a process that writes alone."""
    return nullcontext(enter_result=True)


class ChunkTable:
    """The chunks of all documents. Safe to share between the coroutines of one event loop."""

    def __init__(self, connection: "AsyncConnection", creation_turn: CreationTurn) -> None:
        self._connection = connection
        self._creation_turn = creation_turn
        self._creation_lock = asyncio.Lock()
        self._open_tables: dict[str, AsyncTable] = {}  # an open table detects the commits of other processes
        self._maintenance_lock = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, creation_turn: CreationTurn = always) -> "ChunkTable":
        """Open a folder or the URL of an object store (s3://, gs://, abfss://; credentials from the environment)."""
        try:
            lancedb = await asyncio.to_thread(importlib.import_module, "lancedb")
        except ImportError:
            raise DocumentsNotInstalled from None
        no_staleness = timedelta(0)  # each call sees all commits of other processes
        caches = lancedb.Session(_INDEX_CACHE_BYTES, _METADATA_CACHE_BYTES)
        return cls(
            await lancedb.connect_async(url, read_consistency_interval=no_staleness, session=caches), creation_turn
        )

    async def replace(
        self, document_id: str, tenant: str, model: EmbeddingModel, chunks: Sequence[Chunk], vectors: Sequence[bytes]
    ) -> None:
        """Replace all chunks of the document in one commit. May run twice, also concurrently.

        A vector is packed as little-endian float32, one per dimension of the model.
        """
        from documents.chunks.index_maintenance import maintain_indexes
        from documents.chunks.rows import build_rows, document_filter

        rows = await asyncio.to_thread(build_rows, document_id, tenant, model, chunks, vectors)
        table = await self._open_or_create(model, tenant)
        merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
        await merge.when_not_matched_by_source_delete(document_filter(document_id)).execute(rows)
        await self._remove_from_tables(document_id, await self._tables_of_other_models(model, tenant))
        # Two concurrent maintenance runs would undo each other's work; the next ingest does the work skipped here.
        if not self._maintenance_lock.locked():
            async with self._maintenance_lock:
                await maintain_indexes(table)

    async def remove(self, document_id: str) -> None:
        """Remove the document's chunks of every model and tenant. A document without chunks is not an error."""
        await self._remove_from_tables(document_id, await self._all_tables())

    async def compact(self) -> None:
        """Delete rows from the disk that were removed some time ago. No search finds them even before that.

        A file (of up to 100,000 rows) keeps its removed rows until they are at least a tenth of its rows.
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
        """The chunks that best match the question by vector and by full text, best first.

        Only chunks stored with this model are searched. `document_ids` None means all documents of the tenant.
        """
        from documents.chunks.search import search_table

        where = _scope_filter(tenant, document_ids)
        table = await self._open_existing(_table_name(model, tenant))
        if table is None or (document_ids is not None and not document_ids):
            return []
        return await search_table(table, question, vector, where, limit)

    async def positions(
        self, model: EmbeddingModel, tenant: str, document_ids: Collection[str], limit: int
    ) -> list[tuple[str, Chunk]]:
        """Document and position of up to `limit` chunks of these documents, in order within each, without their texts.

        Later chunks are left out if there are more.
        """
        return await self._read(model, tenant, _scope_filter(tenant, document_ids), limit, with_text=False)

    async def read(
        self, model: EmbeddingModel, tenant: str, wanted: Collection[tuple[str, int]]
    ) -> list[tuple[str, Chunk]]:
        """The chunks with these documents and indexes, in order within each document."""
        from documents.chunks.rows import keys_filter

        if not wanted:
            return []
        where = _scope_filter(tenant, {document_id for document_id, _ in wanted}) & keys_filter(wanted)
        return await self._read(model, tenant, where, len(wanted), with_text=True)

    async def _read(
        self, model: EmbeddingModel, tenant: str, where: "Expr", limit: int, *, with_text: bool
    ) -> list[tuple[str, Chunk]]:
        from documents.chunks.rows import POSITION_COLUMNS, row_to_chunk

        table = await self._open_existing(_table_name(model, tenant))
        if table is None:
            return []
        columns = [*POSITION_COLUMNS, "text"] if with_text else POSITION_COLUMNS
        rows = (await table.query().where(where).select(columns).limit(limit).to_arrow()).to_pylist()
        chunks = [(row["document_id"], row_to_chunk({"text": ""} | row)) for row in rows]
        return sorted(chunks, key=lambda entry: (entry[0], entry[1].index))

    async def documents_of_other_models(
        self, model: EmbeddingModel, tenant: str, document_ids: Collection[str] | None = None
    ) -> dict[str, str]:
        """The documents with chunks of another model, mapped to that model. None means all documents of the tenant."""
        from documents.chunks.rows import stored_model

        where, models = _scope_filter(tenant, document_ids), dict[str, str]()
        for table in await self._tables_of_other_models(model, tenant):
            if await table.count_rows(where.to_sql()):
                rows = await table.query().where(where).select(["document_id"]).to_arrow()
                models |= dict.fromkeys(rows["document_id"].unique().to_pylist(), stored_model(await table.schema()))
        return models

    async def _remove_from_tables(self, document_id: str, tables: Sequence["AsyncTable"]) -> None:
        from documents.chunks.rows import document_filter

        for table in tables:
            await table.delete(document_filter(document_id))

    async def _tables_of_other_models(self, model: EmbeddingModel, tenant: str) -> list["AsyncTable"]:
        current = _table_name(model, tenant)
        return await self._tables(lambda name: name != current and _is_table_of(name, tenant))

    async def _all_tables(self) -> list["AsyncTable"]:
        return await self._tables(lambda name: name.startswith(_PREFIX))

    async def _tables(self, matches: Callable[[str], bool]) -> list["AsyncTable"]:
        names = (await self._connection.list_tables()).tables
        tables = [await self._open_existing(name) for name in filter(matches, names)]
        return [table for table in tables if table is not None]

    async def _open_existing(self, name: str) -> "AsyncTable | None":
        """None for a table that another process is still creating: its folder appears before its first version."""
        if name not in self._open_tables:
            try:
                self._open_tables[name] = await self._connection.open_table(name)
            except ValueError:
                return None
        return self._open_tables[name]

    async def _open_or_create(self, model: EmbeddingModel, tenant: str) -> "AsyncTable":
        from documents.chunks.index_maintenance import create_indexes
        from documents.chunks.rows import chunk_schema

        name = _table_name(model, tenant)
        if (table := self._open_tables.get(name)) is None:
            async with self._creation_lock:
                table = await self._wait_for_table(name, chunk_schema(model))
            await create_indexes(table)
        return table

    async def _wait_for_table(self, name: str, schema: "pa.Schema") -> "AsyncTable":
        """Open the table. If there is none, wait until this process has its turn or another one has created it."""
        end = time.monotonic() + _CREATE_SECONDS
        while time.monotonic() < end:
            if (table := await self._open_existing(name)) is not None:
                return table
            async with self._creation_turn(name) as may_create:
                if may_create and (table := await self._create_missing(name, schema)) is not None:
                    return table
            await asyncio.sleep(_CREATE_POLL_SECONDS)
        raise ChunksUnavailable("the chunk table could not be created; try again")

    async def _create_missing(self, name: str, schema: "pa.Schema") -> "AsyncTable | None":
        """None if another process creates it at the same time: one of an older version does not wait for its turn."""
        if (table := await self._open_existing(name)) is not None:  # another process has just had its turn
            return table
        with suppress(RuntimeError):
            return await self._connection.create_table(name, schema=schema, exist_ok=True)
        return None


def _table_name(model: EmbeddingModel, tenant: str) -> str:
    return _PREFIX + _digest(str(model)) + _suffix(tenant)


def _is_table_of(name: str, tenant: str) -> bool:
    return name.startswith(_PREFIX) and name[len(_PREFIX) + _DIGEST_CHARS :] == _suffix(tenant)


def _suffix(tenant: str) -> str:
    """A digest: a folder's name does not distinguish upper and lower case on every system."""
    return "" if tenant == _DEFAULT_TENANT else f"_{_digest(tenant)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_CHARS]


def _scope_filter(tenant: str, document_ids: Collection[str] | None) -> "Expr":
    from documents.chunks.rows import documents_filter, tenant_filter

    where = tenant_filter(tenant)
    return where if document_ids is None else where & documents_filter(sorted(document_ids))
