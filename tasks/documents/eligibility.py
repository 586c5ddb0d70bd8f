"""Determines which documents may be asked and cited. The records decide: the chunk table also contains others."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import count
from typing import Final

from jobs import queries
from jobs.documents import DocumentRecord, DocumentState, DocumentView, unavailable_error
from jobs.errors import DocumentRejected, StoreUnavailable
from jobs.results import Citation
from jobs.storage.async_store import AsyncStore
from jobs.tenant import Tenant

_BATCH_SIZE: Final = 200  # records in one round trip


async def require_filenames(store: AsyncStore, document_ids: Sequence[str], tenant: Tenant) -> dict[str, str]:
    """The filename of each document. Raises DocumentRejected when one of them cannot be asked."""
    names = {}
    for document_id, record in zip(document_ids, await _load_own_records(store, document_ids, tenant), strict=True):
        view = DocumentView(record=record, state=record.state) if record else None
        if error := unavailable_error(document_id, view):
            raise DocumentRejected(error.message, code=error.code)
        if record:
            names[document_id] = record.filename
    return names


async def citable_filenames(store: AsyncStore, document_ids: Iterable[str], tenant: Tenant) -> dict[str, str]:
    """The filename of each citable document. Deleted documents and orphaned ingests are left out."""
    records = await _load_own_records(store, document_ids, tenant)
    return {record.document_id: record.filename for record in records if record and _is_citable(record)}


async def with_page_labels(store: AsyncStore, citations: Sequence[Citation]) -> tuple[Citation, ...]:
    """The citations with the numbers that are printed on their pages. An outage costs only these numbers.

    A citation is of a source, which was found among the documents of the job's tenant.
    """
    cited_ids = dict.fromkeys(citation.document_id for citation in citations)
    try:
        records = {record.document_id: record for record in await _load_records(store, cited_ids) if record}
    except StoreUnavailable:
        records = {}

    def label(citation: Citation) -> str:
        record = records.get(citation.document_id)
        return record.page_label(citation.page) if record else str(citation.page)

    return tuple(citation.model_copy(update={"page_label": label(citation)}) for citation in citations)


async def citable_document_ids(store: AsyncStore, tenant: Tenant) -> list[str]:
    """The ids of all citable documents of the tenant."""
    return [
        record.document_id
        async for records in _load_all_records(store, tenant)
        for record in records
        if _is_citable(record)
    ]


async def tagged_document_ids(store: AsyncStore, tenant: Tenant, tags: Sequence[str]) -> tuple[str, ...]:
    """The ids of all citable documents of the tenant that have all of these tags."""
    return tuple(
        [
            record.document_id
            async for records in _load_all_records(store, tenant)
            for record in records
            if _is_citable(record) and set(tags) <= set(record.tags)
        ]
    )


async def count_ingesting(store: AsyncStore, tenant: Tenant) -> int:
    """The number of documents still being ingested.

    Ingests run in the order of upload, so counting starts at the newest and ends at the first batch without one.
    """
    ingesting = 0
    async for records in _load_all_records(store, tenant):
        batch_count = await _count_still_ingesting(store, records)
        ingesting += batch_count
        if not batch_count:
            break
    return ingesting


async def _load_all_records(store: AsyncStore, tenant: Tenant) -> AsyncIterator[list[DocumentRecord]]:
    """All documents of the tenant, newest first, in batches of one round trip."""
    for start in count(0, _BATCH_SIZE):
        document_ids = await store.run(queries.newest_documents(tenant, start, _BATCH_SIZE))
        if not document_ids:
            return
        yield [record for record in await _load_own_records(store, document_ids, tenant) if record]


async def _count_still_ingesting(store: AsyncStore, records: Sequence[DocumentRecord]) -> int:
    ingesting_records = [record for record in records if record.state is DocumentState.INGESTING]
    jobs = await asyncio.gather(*(store.run(queries.record(record.job_id)) for record in ingesting_records))
    now_ms = await store.run(queries.server_time_ms())
    views = [DocumentView.of(record, job, now_ms) for record, job in zip(ingesting_records, jobs, strict=True)]
    return sum(view.state is DocumentState.INGESTING for view in views)


async def _load_own_records(
    store: AsyncStore, document_ids: Iterable[str], tenant: Tenant
) -> list[DocumentRecord | None]:
    """As ``_load_records``; the document of another tenant is like none."""
    records = await _load_records(store, document_ids)
    return [record if record and record.tenant == tenant else None for record in records]


async def _load_records(store: AsyncStore, document_ids: Iterable[str]) -> list[DocumentRecord | None]:
    """The records in the order of the ids, in one round trip."""
    return await asyncio.gather(*(store.run(queries.document(document_id)) for document_id in document_ids))


def _is_citable(record: DocumentRecord) -> bool:
    return record.state is DocumentState.READY
