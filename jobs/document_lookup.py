"""Reads documents, each time in a few round trips. The commands are in ``queries``."""

from collections.abc import Sequence
from typing import Final

from jobs import queries
from jobs.base import FrozenModel
from jobs.documents import DocumentState, DocumentView
from jobs.errors import DocumentNotFound
from jobs.lookup import decode_cursor, encode_cursor
from jobs.storage.sync_store import Store

_PENDING_STATES: Final = (DocumentState.INGESTING, DocumentState.DELETING)  # their outcome is in the job's record


class DocumentPage(FrozenModel):
    """Documents, the newest first; ``next_cursor`` is None on the last page."""

    views: tuple[DocumentView, ...]
    next_cursor: str | None


def views(store: Store, document_ids: Sequence[str]) -> list[DocumentView | None]:
    """The documents in the order of the ids; None for a document that does not exist."""
    records = store.run_all([queries.document(document_id) for document_id in document_ids])
    pending = [record for record in records if record is not None and record.state in _PENDING_STATES]
    jobs = store.run_all([queries.record(record.job_id) for record in pending])
    job_of = {record.document_id: job for record, job in zip(pending, jobs, strict=True)}
    return [DocumentView.of(record, job_of.get(record.document_id)) if record else None for record in records]


def view(store: Store, document_id: str, tenant: str) -> DocumentView:
    """One document. Raises DocumentNotFound, also for a document of another tenant."""
    (found,) = views(store, [document_id])
    if found is None or found.record.tenant != tenant:
        raise DocumentNotFound("no such document: it was deleted or never existed", param="document_id")
    return found


def page(store: Store, tenant: str, cursor: str | None, limit: int) -> DocumentPage:
    """One page of a tenant's documents. Raises InvalidRequest for a malformed cursor."""
    entries = store.run(queries.document_page(tenant, decode_cursor(cursor), limit + 1))
    found = [document for document in views(store, [name for name, _ in entries[:limit]]) if document is not None]
    next_cursor = encode_cursor(entries[limit - 1][1]) if len(entries) > limit else None
    return DocumentPage(views=tuple(found), next_cursor=next_cursor)
