"""What is read of documents: one, many, a page of them; each in a few round trips."""

from collections.abc import Sequence

from jobs import queries
from jobs.base import FrozenModel
from jobs.documents import DocumentRecord, DocumentState, DocumentView
from jobs.errors import DocumentNotFound
from jobs.lookup import decode_cursor, encode_cursor
from jobs.storage import keys
from jobs.storage.commands import Command, plain_command, record_command, text
from jobs.storage.store import Store

_PENDING_STATES = (DocumentState.INGESTING, DocumentState.DELETING)  # how it stands, its job's record tells


class DocumentPage(FrozenModel):
    """Documents, the newest first; ``next_cursor`` is None on the last page."""

    views: tuple[DocumentView, ...]
    next_cursor: str | None


def record(document_id: str) -> Command[DocumentRecord | None]:
    return record_command(keys.document(document_id), lambda fields: DocumentRecord.from_hash(document_id, fields))


def views(store: Store, document_ids: Sequence[str]) -> list[DocumentView | None]:
    """In the order asked for; None for a document that is not there."""
    records = store.run_all([record(document_id) for document_id in document_ids])
    unsure = [one for one in records if one is not None and one.state in _PENDING_STATES]
    jobs = store.run_all([queries.record(one.job_id) for one in unsure])
    job_of = {one.document_id: job for one, job in zip(unsure, jobs, strict=True)}
    return [DocumentView.of(one, job_of.get(one.document_id)) if one else None for one in records]


def view(store: Store, document_id: str, tenant: str) -> DocumentView:
    """Raises DocumentNotFound, also for another tenant's."""
    (found,) = views(store, [document_id])
    if found is None or found.record.tenant != tenant:
        raise DocumentNotFound("no such document: it was deleted, or never was", param="document_id")
    return found


def newest(tenant: str, start: int, limit: int) -> Command[list[str]]:
    """Ids of the tenant's documents, the newest first, from the `start`-th on, which counts from 0."""
    return plain_command(
        "ZREVRANGE", keys.documents(tenant), start, start + limit - 1, read=lambda ids: [text(one) for one in ids]
    )


def page(store: Store, tenant: str, cursor: str | None, limit: int) -> DocumentPage:
    """Raises InvalidRequest for a cursor that no page has given."""
    before = decode_cursor(cursor)
    top = "+inf" if before is None else f"({before}"
    command = plain_command(
        "ZREVRANGEBYSCORE", keys.documents(tenant), top, "-inf", "LIMIT", 0, limit + 1, read=lambda ids: ids
    )
    ids = [text(document_id) for document_id in store.run(command)]
    found = [one for one in views(store, ids[:limit]) if one is not None]
    is_end = len(ids) <= limit or not found
    return DocumentPage(views=tuple(found), next_cursor=None if is_end else encode_cursor(found[-1].record.seq))
