"""The transitions of a document's record. Each is safe to send again. The jobs of documents are created separately."""

import json
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias, cast

from jobs.documents import DocumentRecord, DocumentState, NewDocument, fields_of
from jobs.errors import DocumentsFull
from jobs.models import Progress
from jobs.results import JobError
from jobs.storage import keys
from jobs.storage.commands import Command, plain_command, script_command, text
from jobs.storage.scripts import Argument
from jobs.storage.transitions.shared_arguments import milliseconds, pairs
from jobs.tenant import Tenant

_REMOVAL_SECONDS: Final = 60  # most removals take less
_CREATE_TABLE_SECONDS: Final = 60  # longer than a worker may pause while it creates a table, which takes a second
_LATE_WRITE_SECONDS: Final = 3_600  # longer than any ingest takes to commit, or any upload to store its file

StartResult: TypeAlias = Literal["started", "ready", "not_owner", "gone"]


def add(document: NewDocument, max_bytes: int) -> Command[str]:
    """Create the document, or find the one with the same content. Returns its id.

    Reading the reply raises DocumentsFull if all documents would have more than ``max_bytes``.
    """
    return script_command(
        "document_add",
        keys={
            "namespace": keys.NAMESPACE,
            "document": keys.document(document.document_id),
            "documents": keys.documents(document.tenant),
            "document_by_hash": keys.document_by_hash(document.tenant, document.sha256),
            "seq": keys.SEQ,
            "bytes": keys.BYTES,
        },
        args={
            "id": document.document_id,
            "tenant": document.tenant,
            "size": document.size,
            "max_bytes": max_bytes,
            "fields": pairs(fields_of(document)),
        },
        read=lambda reply: _read_added(max_bytes, *map(text, reply)),
        must_be_safe=True,
    )


def _read_added(max_bytes: int, document_id: str, total_bytes: str = "") -> str:
    if not document_id:
        raise DocumentsFull(
            f"the storage of documents is full: with this document, they would have {total_bytes} bytes, and at most "
            f"{max_bytes} are allowed; delete documents first"
        )
    return document_id


def reassign(document_id: str, ended_job: str, new_job: str) -> Command[str | None]:
    """Make a new job the owner of a document whose owner job has ended without success.

    Returns the id of the owner job from now on, None if the document is gone.
    """
    return script_command(
        "document_reassign",
        keys={"document": keys.document(document_id)},
        args={"ended_job": ended_job, "new_job": new_job},
        read=lambda reply: text(reply) or None,
        must_be_safe=True,
    )


def edit(document_id: str, filename: str | None, tags: tuple[str, ...] | None) -> Command[bool]:
    """Change the filename or the tags; None leaves them unchanged. Returns False if the document is gone."""
    changes = {"filename": filename, "tags": None if tags is None else json.dumps(tags)}
    return script_command(
        "document_edit",
        keys={"document": keys.document(document_id)},
        args={"fields": pairs({name: value for name, value in changes.items() if value is not None})},
        read=lambda reply: text(reply) == "edited",
        must_be_safe=True,
    )


def ingest_again(document_id: str, new_job: str) -> Command[str | None]:
    """Make a new job the owner of a document that is ready or has failed.

    Returns the id of the owner job from now on, None if the document is gone.
    """
    return script_command(
        "document_ingest_again",
        keys={"document": keys.document(document_id)},
        args={"new_job": new_job},
        read=lambda reply: text(reply) or None,
        must_be_safe=True,
    )


def start(document_id: str, job_id: str) -> Command[StartResult]:
    """Start an attempt to ingest the document."""
    return script_command(
        "document_start",
        keys={"document": keys.document(document_id), "job": keys.job(job_id)},
        args={"job_id": job_id},
        read=lambda reply: cast("StartResult", text(reply)),
        must_be_safe=True,
    )


def record_progress(document_id: str, job_id: str, done: int, pages: int) -> Command[bool]:
    """Record how many pages are ingested, both for the document and for its job."""
    progress = Progress(pages_done=done, pages=pages)
    return _update(document_id, job_id, {"pages_done": done, "pages": pages}, progress)


def mark_ready(
    document_id: str,
    job_id: str,
    *,
    pages: int,
    chunks: int,
    no_text: tuple[int, ...],
    damaged: tuple[int, ...],
    embedding_model: str,
    garbled: tuple[int, ...] = (),
    page_labels: tuple[str, ...] = (),
    attachments: int = 0,
    ocr: Mapping[str, tuple[int, ...]] | None = None,
) -> Command[bool]:
    fields: dict[str, Argument] = {
        "state": DocumentState.READY,
        "pages": pages,
        "pages_done": pages,
        "chunks": chunks,
        "no_text": json.dumps(no_text),
        "damaged": json.dumps(damaged),
        "garbled": json.dumps(garbled),
        "page_labels": json.dumps(page_labels),
        "attachments": attachments,
        "ocr": json.dumps(dict(ocr or {})),
        "embedding_model": embedding_model,
    }
    return _update(document_id, job_id, fields, Progress(pages_done=pages, pages=pages))


def mark_failed(document_id: str, job_id: str, error: JobError) -> Command[bool]:
    fields: dict[str, Argument] = {
        "state": DocumentState.FAILED,
        "error_code": error.code,
        "error_message": error.message,
    }
    return _update(document_id, job_id, fields)


def remove(record: DocumentRecord, ended_job: str, new_job: str) -> Command[str | None]:
    """Hide the document from search and make a removal job its owner.

    ``ended_job``: a removal job that has ended without removing the data; '' for none. Returns the id of the job
    that is to remove the data, None if the document is gone.
    """
    return script_command(
        "document_remove",
        keys={
            "document": keys.document(record.document_id),
            "document_by_hash": keys.document_by_hash(record.tenant, record.sha256),
            "tombstones": keys.TOMBSTONES,
        },
        args={
            "id": record.document_id,
            "ended_job": ended_job,
            "new_job": new_job,
            "recheck_ms": milliseconds(_REMOVAL_SECONDS),
        },
        read=lambda reply: text(reply) or None,
        must_be_safe=True,
    )


def purge(record: DocumentRecord) -> Command[str]:
    """Remove the record of a deleted document, once its file and chunks are removed. Returns purged, live or gone."""
    return script_command(
        "document_purge",
        keys={
            "namespace": keys.NAMESPACE,
            "document": keys.document(record.document_id),
            "documents": keys.documents(record.tenant),
            "tombstones": keys.TOMBSTONES,
            "bytes": keys.BYTES,
        },
        args={"id": record.document_id, "recheck_ms": milliseconds(_LATE_WRITE_SECONDS)},
        read=text,
        must_be_safe=True,
    )


def forget(document_id: str, tenant: Tenant, sha256: str = "") -> Command[str]:
    """Remove what still refers to a document whose record is lost. Returns forgotten, or live if it has a record.

    Its file and chunks stay: nothing is removed from the disk because Redis has lost a record.
    """
    return script_command(
        "document_forget",
        keys={
            "document": keys.document(document_id),
            "documents": keys.documents(tenant),
            "document_by_hash": keys.document_by_hash(tenant, sha256),
        },
        args={"id": document_id},
        read=text,
    )


def lock_table(name: str, worker: str) -> Command[bool]:
    """Reserve the creation of this table of chunks for this worker. False if another worker creates it.

    The lock of a worker that dies meanwhile expires after a minute.
    """
    return _lock_table(name, worker, milliseconds(_CREATE_TABLE_SECONDS))


def unlock_table(name: str, worker: str) -> Command[bool]:
    """End the lock of this worker, if it still has it."""
    return _lock_table(name, worker, 1)


def _lock_table(name: str, worker: str, for_ms: int) -> Command[bool]:
    return script_command(
        "leader",
        keys={"leader": keys.chunk_table(name)},
        args={"worker": worker, "ttl_ms": for_ms},
        read=lambda reply: reply == 1,
    )


def drop_tombstone(document_id: str) -> Command[None]:
    """End the cleanup of a deleted document that has no data left."""
    return plain_command("ZREM", keys.TOMBSTONES, document_id, read=lambda _: None)


def _update(
    document_id: str, job_id: str, fields: dict[str, Argument], progress: Progress | None = None
) -> Command[bool]:
    """Returns False if the document is gone or owned by another job. A ready document does not change."""
    return script_command(
        "document_update",
        keys={"document": keys.document(document_id), "job": keys.job(job_id)},
        args={
            "job_id": job_id,
            "progress": progress.to_string() if progress else "",
            "fields": pairs(fields),
        },
        read=lambda reply: reply != b"gone",
        must_be_safe=True,
    )
