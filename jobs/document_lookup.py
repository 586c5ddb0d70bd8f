"""Reads the documents of a tenant, each time in a few round trips. The commands are in ``queries``."""

from collections.abc import Callable, Sequence
from typing import Final

from jobs import queries
from jobs.base import FrozenModel
from jobs.documents import DocumentState, DocumentView
from jobs.errors import DocumentNotFound
from jobs.lookup import decode_cursor, encode_cursor
from jobs.tenant_store import TenantStore

_PENDING_STATES: Final = (DocumentState.INGESTING, DocumentState.DELETING)  # their outcome is in the job's record
_MATCHED_AT_ONCE: Final = 200  # documents in one round trip
_MAX_MATCHED_BATCHES: Final = 20
_MAX_REREADS: Final = 5  # of a document whose owner or state is another one each time


class DocumentPage(FrozenModel):
    """Documents, the newest first; ``next_cursor`` is None on the last page."""

    views: tuple[DocumentView, ...]
    next_cursor: str | None


def views(store: TenantStore, document_ids: Sequence[str]) -> list[DocumentView | None]:
    """The documents in the order of the ids; None for a document that does not exist.

    A document and its owner job are read one after the other, and the job may end in between. A job that ends has
    written its outcome into the document first. So a document that seems orphaned is read again before it is called so.
    """
    found = _read_views(store, list(dict.fromkeys(document_ids)))
    doubtful = _doubtful(found)
    for _ in range(_MAX_REREADS):
        if not doubtful:
            break
        reread = _read_views(store, list(doubtful))
        found |= reread
        doubtful = {name: seen for name, seen in _doubtful(reread).items() if seen != doubtful[name]}
    return [found[document_id] for document_id in document_ids]


def _read_views(store: TenantStore, document_ids: list[str]) -> dict[str, DocumentView | None]:
    records = store.read_documents(document_ids)
    owners = [record.job_id for record in records if record is not None and record.state in _PENDING_STATES]
    jobs, (now_ms,) = store.read_jobs(owners, beside=[queries.server_time_ms()]) if owners else ({}, [0])
    return {
        document_id: DocumentView.of(record, jobs.get(record.job_id, (None,))[0], now_ms) if record else None
        for document_id, record in zip(document_ids, records, strict=True)
    }


def _doubtful(found: dict[str, DocumentView | None]) -> dict[str, tuple[DocumentState | None, str]]:
    """State and owner job of each document whose error was derived from the record of its job."""
    return {
        document_id: (view.record.state, view.record.job_id)
        for document_id, view in found.items()
        if view is not None and view.is_orphaned and view.record.state in _PENDING_STATES
    }


def view(store: TenantStore, document_id: str) -> DocumentView:
    """One document. Raises DocumentNotFound, also for a document of another tenant."""
    (found,) = views(store, [document_id])
    if found is None:
        raise DocumentNotFound("no such document: it was deleted or never existed", param="document_id")
    return found


def page(
    store: TenantStore, cursor: str | None, limit: int, matches: Callable[[DocumentView], bool] | None = None
) -> DocumentPage:
    """One page of the tenant's documents that match. Raises InvalidRequest for a malformed cursor.

    At most some thousand documents are compared in one call, so a page that is not the last one may be shorter than
    ``limit``.
    """
    before = decode_cursor(cursor)
    size = limit if matches is None else _MATCHED_AT_ONCE
    found: list[DocumentView] = []
    for _ in range(_MAX_MATCHED_BATCHES):
        entries = store.document_page(before, size + 1)
        for (_, seq), document in zip(entries, views(store, [name for name, _ in entries[:size]]), strict=False):
            before = seq
            if document is not None and (matches is None or matches(document)):
                found.append(document)
            if len(found) == limit:
                break
        has_more = bool(entries) and before != entries[-1][1]
        if matches is None or len(found) == limit or not has_more:
            break
    return DocumentPage(views=tuple(found), next_cursor=encode_cursor(before) if has_more and before else None)
