"""The record of a document: its tenant, the job that owns it, and its progress.

    (none)             --add-->       ingesting       by an upload
    ingesting          --update-->    ready, failed   by the owner job
    ingesting, failed  --reassign-->  ingesting       by an upload or a retried ingest, once the owner job has ended
    ready, failed      --ingest_again--> ingesting    by a caller, to read or embed the stored file again
    all of these       --remove-->    deleting        by a deletion
    deleting           --purge-->     (none)          by whichever job or worker has removed the data

One rule: **one job owns a document until that job has made it ready or removed it.**

- Only the owner job writes to the document. A ready document needs no owner: no job changes it, and a job that runs
  late has nothing to do.
- A job may end without success and without a write to the document: it was cancelled, its time was up, or its worker
  died. The state of a document is therefore derived from both records (``DocumentView.of``). Only after such an end
  does another job become the owner in order to ingest the document: the job of the next upload of the same content, or
  of a retried ingest. A deletion makes its removal job the owner immediately.
- The record is written first, then the file, then the job. Each upload that creates a job stores the file again: no
  ingest starts without a file, no file is stored without a record, and a lost file is restored.
- Any of these may remove the data of a deleted document: its removal job, a retry of that job, and the document
  cleanup of the workers (tasks/maintenance/document_cleanup.py), which checks the document until no data is left.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator

from jobs.base import FrozenModel, read_stored
from jobs.models import MAX_SHOWN_CHARS, UNKNOWN, Count, JobRecord, Milliseconds, is_job_id
from jobs.results import JobError
from jobs.states import State
from jobs.tenant import DEFAULT_TENANT, Tenant


class DocumentState(StrEnum):
    INGESTING = "ingesting"  # its owner job is queued or in progress
    READY = "ready"  # chats can use it
    FAILED = "failed"  # chats cannot use it; the error has the reason; a further upload retries the ingest
    DELETING = "deleting"  # it is hidden from search; its file and chunks are being removed


def _parse_list(value: Any) -> Any:
    """The form in the record's hash: a list or an object in JSON."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except RecursionError:
        raise ValueError("too deep") from None


_PageNumbers = Annotated[tuple[Count, ...], BeforeValidator(_parse_list)]
_PageLabels = Annotated[tuple[str, ...], BeforeValidator(_parse_list)]
_Tags = Annotated[tuple[str, ...], BeforeValidator(_parse_list)]


class DocumentRecord(FrozenModel):
    """The stored record of a document."""

    document_id: str
    tenant: Tenant
    state: DocumentState | None  # None: a state that this version does not know
    job_id: str  # the owner job: it ingests or removes the document, or did so last
    seq: Count  # order of upload, unique
    filename: str
    kind: str  # a documents.models.FileType; jobs only stores it
    size: Count  # bytes
    sha256: str
    created_at_ms: Milliseconds
    assigned_at_ms: Milliseconds = 0  # when its owner job became the owner; 0: when it was created
    pages: Count | None = None
    pages_done: Count = 0
    chunks: Count | None = None
    embedding_model: str | None = None
    no_text: _PageNumbers = ()  # pages without text, mostly scanned ones
    damaged: _PageNumbers = ()  # pages that cannot be read
    garbled: _PageNumbers = ()  # pages whose fonts do not identify their characters
    page_labels: _PageLabels = ()  # one per page, as printed; empty if all are the pages' numbers
    attachments: Count = 0  # files in the PDF, which are not read
    charset: str = ""  # of a text, as its sender declared it
    tags: _Tags = ()
    ocr: Annotated[
        Mapping[str, tuple[Count, ...]], BeforeValidator(_parse_list)
    ] = {}  # pages that went through OCR, or should have, by its outcome
    error_code: str | None = None
    error_message: str | None = None
    unreadable: Mapping[str, str | None] = {}  # fields that cannot be read; for the state with its text

    def page_label(self, page: int) -> str:
        """The number of the page (from 1) as printed, as far as the file defines it."""
        return self.page_labels[page - 1] if 0 < page <= len(self.page_labels) else str(page)

    @classmethod
    def from_hash(cls, document_id: str, fields: dict[str, str]) -> Self:
        """Read the record's hash. Never raises; see JobRecord.from_hash."""
        own = {**fields, "document_id": document_id, "unreadable": {}}
        record, names = read_stored(cls, own, _STAND_INS)
        if not names:
            return record
        shown = {name: fields.get(name, "")[:MAX_SHOWN_CHARS] if name == "state" else None for name in sorted(names)}
        return record.model_copy(update={"unreadable": shown})


_STAND_INS: Final = {
    "tenant": DEFAULT_TENANT,
    "state": None,
    "job_id": "",
    "seq": 0,
    "filename": UNKNOWN,
    "kind": UNKNOWN,
    "size": 0,
    "sha256": "",
    "created_at_ms": 0,
}


class NewDocument(FrozenModel):
    """The fields that ``add`` writes."""

    document_id: str
    tenant: Tenant
    job_id: str
    filename: str
    kind: str  # a documents.models.FileType; jobs only stores it
    size: int
    sha256: str
    charset: str = ""
    tags: tuple[str, ...] = ()


class DocumentView(FrozenModel):
    """A document with its actual state, which depends on its owner job too."""

    record: DocumentRecord
    state: DocumentState | None  # None: a state that this version does not know
    error: JobError | None = None  # why its job ended without success
    has_job: bool = True  # the job's record exists, even if the job has ended
    is_orphaned: bool = False  # the owner job ended without success, or does not exist: another job may own it

    @classmethod
    def of(cls, record: DocumentRecord, job: JobRecord | None, now_ms: int) -> Self:
        """``job``: the record of the owner job; None when it has expired, was deleted, or is not created yet.

        ``now_ms``: the server's time. An upload creates the job after it has stored the file.
        """
        state, error = record.state, _own_error(record)
        is_orphaned = error is not None
        if state in _ORPHANED_STATES and (job is None or job.is_final):
            is_orphaned = True
            if job is not None or now_ms - max(record.created_at_ms, record.assigned_at_ms) > _CREATE_JOB_MS:
                state, error = _ORPHANED_STATES[state], _orphan_error(record.state, job)
        return cls(record=record, state=state, error=error, has_job=job is not None, is_orphaned=is_orphaned)

    @property
    def status(self) -> str:
        """The name of the state; ``unknown`` for one that this version does not know."""
        return UNKNOWN if self.state is None else self.state.value

    def next_job_id(self, new_job: str) -> str:
        """The id of the next owner job: ``new_job``, or the recorded id if no job was created with it.

        With the recorded id, concurrent callers create one job instead of several.
        """
        was_never_created = self.record.state is not DocumentState.FAILED and not self.has_job
        return self.record.job_id if was_never_created and is_job_id(self.record.job_id) else new_job


_CREATE_JOB_MS = 30_000  # longer than an upload takes to store a file that it has received
_ORPHANED_STATES = {DocumentState.INGESTING: DocumentState.FAILED, DocumentState.DELETING: DocumentState.DELETING}


def _orphan_error(state: DocumentState | None, job: JobRecord | None) -> JobError:
    prefix, advice = _INGEST if state is DocumentState.INGESTING else _REMOVAL
    if job is None or job.state is State.COMPLETED:
        return JobError(code=f"{prefix}_lost", message=f"no task handles the document any more; {advice}")
    if job.state is State.CANCELLED:
        return JobError(code=f"{prefix}_cancelled", message=f"its task was cancelled; {advice}")
    return JobError(code=job.error_code or f"{prefix}_lost", message=f"its task failed; {advice}")


_INGEST = ("ingest", "upload it again")
_REMOVAL = ("removal", "its data will still be removed in the background")


def _own_error(record: DocumentRecord) -> JobError | None:
    if record.state is not DocumentState.FAILED:
        return None
    return JobError(code=record.error_code or "ingest_lost", message=record.error_message or "upload it again")


def unavailable_error(document_id: str, view: DocumentView | None) -> JobError | None:
    """Why chats of its tenant cannot use this document; None if they can. ``view``: None if the tenant has none."""
    if view is None or view.state is DocumentState.DELETING:
        return JobError(code="document_not_found", message=f"no such document: {document_id}")
    if view.state is DocumentState.INGESTING:
        return JobError(
            code="document_not_ready", message=f"the document {document_id} is being ingested; try again later"
        )
    if view.state is DocumentState.FAILED:
        return JobError(code="document_failed", message=f"the document {document_id} could not be ingested")
    if view.state is None:
        return JobError(
            code="document_not_ready", message=f"another version of the server works on the document {document_id}"
        )
    return None


def fields_of(document: NewDocument) -> dict[str, Any]:
    """The fields of the record that ``add`` writes."""
    return document.model_dump(exclude={"document_id", "tags"}) | {"tags": json.dumps(document.tags)}
