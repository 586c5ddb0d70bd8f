"""Which documents may be asked, and cited: their records know it, the table of their chunks does not."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import count
from typing import Final

from jobs import document_lookup, queries
from jobs.documents import DocumentRecord, DocumentState, DocumentView, refusal
from jobs.errors import DocumentRejected
from jobs.storage.async_store import AsyncStore

_AT_ONCE: Final = 200  # records in one round trip


async def names_of_asked(store: AsyncStore, document_ids: Sequence[str], tenant: str) -> dict[str, str]:
    """The file's name of each. Raises DocumentRejected where one of them cannot be asked."""
    names = {}
    for document_id, record in zip(document_ids, await _records(store, document_ids), strict=True):
        view = DocumentView(record=record, state=record.state) if record else None
        if error := refusal(document_id, view, tenant):
            raise DocumentRejected(error.message, code=error.code)
        if record:
            names[document_id] = record.filename
    return names


async def names_of_citable(store: AsyncStore, document_ids: Iterable[str], tenant: str) -> dict[str, str]:
    """The file's name of each that may be cited: one that was deleted, or ingested in vain, may not."""
    records = await _records(store, document_ids)
    return {record.document_id: record.filename for record in records if record and _is_citable(record, tenant)}


async def ids_of_citable(store: AsyncStore, tenant: str) -> list[str]:
    """Of all the tenant's documents."""
    return [
        record.document_id
        async for records in _all_records(store, tenant)
        for record in records
        if _is_citable(record, tenant)
    ]


async def count_ingesting(store: AsyncStore, tenant: str) -> int:
    """From the newest on, as far as there are such: documents are ingested in the order of their upload."""
    ingesting = 0
    async for records in _all_records(store, tenant):
        more = await _ingesting(store, records)
        ingesting += more
        if not more:
            break
    return ingesting


async def _all_records(store: AsyncStore, tenant: str) -> AsyncIterator[list[DocumentRecord]]:
    """The newest first, as many at once as are read in one round trip."""
    for start in count(0, _AT_ONCE):
        document_ids = await store.run(document_lookup.newest(tenant, start, _AT_ONCE))
        if not document_ids:
            return
        yield [record for record in await _records(store, document_ids) if record]


async def _ingesting(store: AsyncStore, records: Sequence[DocumentRecord]) -> int:
    begun = [record for record in records if record.state is DocumentState.INGESTING]
    jobs = await asyncio.gather(*(store.run(queries.record(record.job_id)) for record in begun))
    views = [DocumentView.of(record, job) for record, job in zip(begun, jobs, strict=True)]
    return sum(view.state is DocumentState.INGESTING for view in views)


async def _records(store: AsyncStore, document_ids: Iterable[str]) -> list[DocumentRecord | None]:
    """In the order asked for, in one round trip."""
    return await asyncio.gather(*(store.run(document_lookup.record(document_id)) for document_id in document_ids))


def _is_citable(record: DocumentRecord, tenant: str) -> bool:
    return record.state is DocumentState.READY and record.tenant == tenant
