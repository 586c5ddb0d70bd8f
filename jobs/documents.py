"""What is on record of a document: whose it is, which job looks after it, how far it has come.

    (none)            --add-->     ingesting       by an upload
    ingesting         --update-->    ready, failed   by the job in whose hands it is
    ingesting, failed --reassign--> ingesting       by an upload or a retried ingest, once that job has ended
    all of these      --remove-->  deleting        by a deletion
    deleting          --purge-->  (none)          by whoever has removed what is left

One rule: **a document is in the hands of one job, until it is where that is to bring it: ready, or gone.**

- Nobody else writes to it. What is ready needs none: no job makes it less, and one that comes late has nothing to do.
- A job may end in vain, also without a word to the document: cancelled, out of time, or with its worker. So how a
  document stands is read from both records (``DocumentView.of``). Then, and only then, it passes into another's hands:
  of the next upload of that content, or of an ingest that is retried.
- First the record, then the file, then the job. Each upload that makes a job brings the file anew: no ingest starts
  without one, no file is kept without a record, and a file that was lost is there again.
- What is deleted is wanted by nobody, and whoever comes by may remove it: its task, one that is retried, and in the end
  the workers' duty (tasks/maintenance/document_cleanup.py), which looks at it until nothing is left.
"""

import json
from enum import StrEnum
from typing import Any, Self

from jobs.base import FrozenModel
from jobs.models import JobRecord
from jobs.results import JobError
from jobs.states import State


class DocumentState(StrEnum):
    INGESTING = "ingesting"  # its job is queued or runs
    READY = "ready"  # it can be asked
    FAILED = "failed"  # it cannot, and the error says why; uploaded again, it is tried again
    DELETING = "deleting"  # no question finds it any more; its file and chunks are being removed


class DocumentRecord(FrozenModel):
    """A document as it is written down."""

    document_id: str
    tenant: str
    state: DocumentState
    job_id: str  # of the job that ingests or removes it, or did so last
    seq: int  # order of upload, unique
    filename: str
    kind: str  # a documents.models.FileType; jobs only stores it
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
    kind: str  # a documents.models.FileType; jobs only stores it
    size: int
    sha256: str


class DocumentView(FrozenModel):
    """A document as it stands."""

    record: DocumentRecord
    state: DocumentState
    error: JobError | None = None  # why its job has ended in vain
    has_job: bool = True  # on record, be it ended

    @classmethod
    def of(cls, record: DocumentRecord, job: JobRecord | None) -> Self:
        """``job``: the record of its job; None when that has expired, was deleted, or was never made."""
        state, error = record.state, _own_error(record)
        if state in _ORPHANED_STATES and (job is None or job.state.is_final):
            state, error = _ORPHANED_STATES[state], _orphan_error(record.state, job)
        return cls(record=record, state=state, error=error, has_job=job is not None)

    @property
    def is_orphaned(self) -> bool:
        """It is not where its job was to bring it, and that has ended: it may pass into another's hands."""
        return self.error is not None

    def next_job_id(self, new_job: str) -> str:
        """Into which job's: one that is noted and was never made is made by whoever comes first, however many come."""
        is_recorded = self.record.state is not DocumentState.FAILED and not self.has_job
        return self.record.job_id if is_recorded else new_job


_ORPHANED_STATES = {DocumentState.INGESTING: DocumentState.FAILED, DocumentState.DELETING: DocumentState.DELETING}


def _orphan_error(state: DocumentState, job: JobRecord | None) -> JobError:
    what, then = _INGEST if state is DocumentState.INGESTING else _REMOVAL
    if job is None or job.state is State.COMPLETED:
        return JobError(code=f"{what}_lost", message=f"no task looks after the document any more; {then}")
    if job.state is State.CANCELLED:
        return JobError(code=f"{what}_cancelled", message=f"its task was cancelled; {then}")
    return JobError(code=job.error_code or f"{what}_lost", message=f"its task has failed; {then}")


_INGEST = ("ingest", "upload it again")
_REMOVAL = ("removal", "what is left is removed all the same, as soon as that can be done")


def _own_error(record: DocumentRecord) -> JobError | None:
    if record.state is not DocumentState.FAILED:
        return None
    return JobError(code=record.error_code or "ingest_lost", message=record.error_message or "upload it again")


def unavailable_error(document_id: str, view: DocumentView | None, tenant: str) -> JobError | None:
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
