"""Jobs as frozen pydantic models: the record of a job, and the lease under which an attempt may write."""

import re
import uuid
from typing import Any, Final, Self

from pydantic import Field, model_validator

from jobs.base import FrozenModel
from jobs.kinds import JOB_ID_PREFIXES, KindName
from jobs.kinds.base import Answer, JobRequest
from jobs.results import JobError, Usage
from jobs.states import State

JOB_ID_PATTERN: Final = rf"^({'|'.join(JOB_ID_PREFIXES)})_[0-9a-f]{{32}}$"
_JOB_ID = re.compile(JOB_ID_PATTERN)
DEFAULT_TENANT: Final = "default"  # the tenant of every job, until callers have API keys of their own
PREVIEW_BYTES = 60  # keeps the record's hash in Redis' compact encoding (values of at most 64 bytes)


def new_job_id(prefix: str = "job") -> str:
    """A new, unique id. The prefix names the endpoint that accepted the job."""
    return f"{prefix}_{uuid.uuid4().hex}"


def is_job_id(text: str) -> bool:
    """True for a well-formed id, whether or not such a job exists."""
    return _JOB_ID.fullmatch(text) is not None  # not match: its `$` accepts a trailing line break


class FailedAttempt(FrozenModel):
    """The error that ended one attempt."""

    attempt: int
    at_ms: int
    code: str
    message: str


class NewJob(FrozenModel):
    """Everything that `create` writes."""

    job_id: str
    tenant: str
    queue: str
    request: JobRequest = Field(repr=False)
    max_attempts: int
    deadline_seconds: float
    start_by_seconds: float | None = None
    cancel_after_seconds: float | None = None
    idempotency_key: str | None = Field(default=None, repr=False)
    resend_count: int | None = None  # how often the client has sent this request before: see create.lua
    retry_of: str | None = None  # the final job that this job retries; each job is retried at most once
    result_ttl_seconds: int | None = None  # None: the settings' own
    events_ttl_seconds: int | None = None  # None: the settings' own

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        if not is_job_id(self.job_id):
            raise ValueError("job_id is malformed")
        return self


class Lease(FrozenModel):
    """The right of one attempt to write. A later claim, with a higher token, voids it."""

    job_id: str
    queue: str
    token: int
    attempt: int
    log_length: int  # events in the log right after the claim: the attempt's own events follow them


class Claim(FrozenModel):
    """A lease, and the request of its job."""

    lease: Lease
    failures: int  # attempts that failed with an error; attempts that ended with their worker are not counted
    worker_losses: int  # attempts that ended with their worker
    max_attempts: int
    remaining_ms: int  # until the job's deadline, by Redis' clock
    request: JobRequest = Field(repr=False)


class Progress(FrozenModel):
    """How many pages of a document an ingest has read and embedded."""

    pages_done: int = Field(description="Pages that have been read and embedded.")
    pages: int = Field(description="Pages of the document.")

    def to_string(self) -> str:
        """The form in the record's hash."""
        return f"{self.pages_done} {self.pages}"

    @classmethod
    def from_string(cls, text: str) -> Self:
        done, pages = map(int, text.split())
        return cls(pages_done=done, pages=pages)


class JobRecord(FrozenModel):
    """The record of a job, without its request and its answer."""

    job_id: str
    kind: KindName
    tenant: str
    queue: str
    state: State
    version: int  # grows with each write; the ETag
    seq: int  # order of creation, unique
    token: int = 0  # of the latest claim
    log_start: int = 0  # length of the log right after that claim: identifies the attempt
    attempts: int
    failures: int = 0  # attempts that ended with an error
    worker_losses: int = 0  # attempts that ended with their worker
    max_attempts: int
    created_at_ms: int
    deadline_ms: int | None = None
    start_by_ms: int | None = None
    cancel_at_ms: int | None = None
    started_at_ms: int | None = None  # of the latest attempt
    finished_at_ms: int | None = None
    retry_at_ms: int | None = None  # set while the job waits for its next attempt
    usage: Usage | None = None  # of the latest attempt, also while it runs
    progress: Progress | None = None  # of the latest attempt to ingest a document, once pages are done
    log_length: int | None = None  # of the complete event log of a final job; the log may expire before the record
    preview: str = Field(default="", repr=False)
    model: str | None = None
    owner: str | None = None
    error_code: str | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    idempotency: str | None = Field(default=None, repr=False)  # digest of its Idempotency-Key
    queue_position: int | None = None  # jobs ahead of this one; None: not queued
    estimated_wait_ms: int | None = None  # from the recent throughput; None: unknown

    @classmethod
    def from_hash(cls, job_id: str, fields: dict[str, Any]) -> Self:
        """Read the record's hash. Unknown fields are ignored: workers of different versions may run together."""
        parsers = {"usage": Usage.from_string, "progress": Progress.from_string}
        read = {name: parse(fields[name]) for name, parse in parsers.items() if fields.get(name)}
        return cls.model_validate({"job_id": job_id, **fields, **read})


class QueuePosition(FrozenModel):
    """How many jobs are ahead of a queued job, and how long they may take."""

    queue_position: int
    estimated_wait_ms: int | None

    @classmethod
    def from_reply(cls, position: int, wait_ms: int) -> Self:
        """From the reply of queue_position.lua; a wait of -1 is unknown."""
        return cls(queue_position=position, estimated_wait_ms=None if wait_ms < 0 else wait_ms)


class JobView(FrozenModel):
    """A job's record, and its answer or error."""

    record: JobRecord
    answer: Answer | None = Field(default=None, repr=False)
    error: JobError | None = None


class JobDetails(FrozenModel):
    """A job's record, and the errors of its failed attempts."""

    record: JobRecord
    failed_attempts: tuple[FailedAttempt, ...]
