"""What is on record of a document: whose it is, which job looks after it, how far it has come.

(none) --add--> ingesting --note--> ready | failed          `again` leads from failed back to ingesting
                    |                  |
                    +------ remove ----+--> deleting --forget--> (none)

Its job is on record in its own right, and may end without a word to the document: cancelled, out of time, or with its
worker. So how a document stands is read from both records (``DocumentView.of``).
"""

import json
from enum import StrEnum
from typing import Any, Final, Literal, Self, TypeAlias

from jobs.answers import JobError
from jobs.frozen import FrozenModel
from jobs.models import JobRecord
from jobs.states import State

DocumentKind: TypeAlias = Literal["pdf", "text", "markdown"]


class DocumentState(StrEnum):
    INGESTING = "ingesting"  # its job is queued or runs
    READY = "ready"  # it can be asked
    FAILED = "failed"  # it cannot, and the error says why; uploaded again, it is tried again
    DELETING = "deleting"  # nobody finds it any more; its file and chunks are being removed


class DocumentRecord(FrozenModel):
    """A document as it is written down."""

    document_id: str
    tenant: str
    state: DocumentState
    job_id: str  # of the job that ingests or removes it, or did so last
    seq: int  # order of upload, unique
    filename: str
    kind: DocumentKind
    size: int  # bytes
    sha256: str
    created_at_ms: int
    pages: int | None = None
    pages_done: int = 0
    chunks: int | None = None
    embedding_model: str | None = None
    no_text: tuple[int, ...] = ()  # pages on which there is none, scanned ones above all
    damaged: tuple[int, ...] = ()  # pages that cannot be read
    error_code: str | None = None
    error_message: str | None = None

    @classmethod
    def from_hash(cls, document_id: str, fields: dict[str, str]) -> Self:
        lists = {name: tuple(json.loads(fields[name])) for name in ("no_text", "damaged") if name in fields}
        return cls.model_validate({"document_id": document_id, **fields, **lists})


class NewDocument(FrozenModel):
    """All that ``add`` writes down."""

    document_id: str
    tenant: str
    job_id: str
    filename: str
    kind: DocumentKind
    size: int
    sha256: str


class DocumentView(FrozenModel):
    """A document as it stands."""

    record: DocumentRecord
    state: DocumentState
    error: JobError | None = None

    @classmethod
    def of(cls, record: DocumentRecord, job: JobRecord | None) -> Self:
        """``job``: the record of its job; None when that has expired, was deleted, or was never made."""
        if record.state is DocumentState.INGESTING and (job is None or job.state.is_final):
            return cls(record=record, state=DocumentState.FAILED, error=_left_alone(job))
        return cls(record=record, state=record.state, error=_own_error(record))


_NO_JOB: Final = JobError(code="ingest_lost", message="no task ingests the document any more; upload it again")


def _left_alone(job: JobRecord | None) -> JobError:
    if job is None or job.state is State.COMPLETED:
        return _NO_JOB
    if job.state is State.CANCELLED:
        return JobError(code="ingest_cancelled", message="the task that ingested the document was cancelled")
    return JobError(code=job.error_code or _NO_JOB.code, message="the task that ingested the document has failed")


def _own_error(record: DocumentRecord) -> JobError | None:
    if record.state is not DocumentState.FAILED:
        return None
    return JobError(code=record.error_code or _NO_JOB.code, message=record.error_message or _NO_JOB.message)


def refusal(document_id: str, view: DocumentView | None, tenant: str) -> JobError | None:
    """Why this document cannot be asked; None when it can."""
    if view is None or view.record.tenant != tenant or view.state is DocumentState.DELETING:
        return JobError(code="document_not_found", message=f"no such document: {document_id}")
    if view.state is DocumentState.INGESTING:
        return JobError(code="document_not_ready", message=f"the document {document_id} is being ingested; ask later")
    if view.state is DocumentState.FAILED:
        return JobError(code="document_failed", message=f"the document {document_id} could not be ingested")
    return None


def fields_of(document: NewDocument) -> dict[str, Any]:
    """As ``add`` writes them."""
    return document.model_dump(exclude={"document_id"})
