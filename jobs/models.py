"""Jobs, as frozen pydantic models: what is written down of one, and who may write."""

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
DEFAULT_TENANT: Final = "default"  # of every job, until callers have keys of their own
PREVIEW_BYTES = 60  # keeps the record's hash in Redis' compact encoding (values of at most 64 bytes)


def new_job_id(prefix: str = "job") -> str:
    """A new, unique id; the prefix says which endpoint accepted the job."""
    return f"{prefix}_{uuid.uuid4().hex}"


def is_job_id(text: str) -> bool:
    """True for a well-formed id; says nothing of whether such a job exists."""
    return _JOB_ID.fullmatch(text) is not None  # not match: its `$` lets a trailing line break pass


class FailedAttempt(FrozenModel):
    """What one attempt met with."""

    attempt: int
    at_ms: int
    code: str
    message: str


class NewJob(FrozenModel):
    """All that `create` writes down."""

    job_id: str
    tenant: str
    queue: str
    request: JobRequest = Field(repr=False)
    max_attempts: int
    deadline_seconds: float
    start_by_seconds: float | None = None
    cancel_after_seconds: float | None = None
    idempotency_key: str | None = Field(default=None, repr=False)
    resend_count: int | None = None  # how often; then its key is none of the caller's: see create.lua
    retry_of: str | None = None  # the failed job that this one repeats; it is repeated once
    result_ttl_seconds: int | None = None  # of its own; None: the settings'
    events_ttl_seconds: int | None = None

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        if not is_job_id(self.job_id):
            raise ValueError("job_id is malformed")
        return self


class Lease(FrozenModel):
    """The right to write for one attempt: void as soon as a later claim has a higher token."""

    job_id: str
    queue: str
    token: int
    attempt: int
    log_length: int  # events in the log right after the claim: where this attempt's own begin


class Claim(FrozenModel):
    """A lease and what is to be done under it."""

    lease: Lease
    failures: int  # attempts that have failed with an error; those that a dead worker ended are not among them
    worker_losses: int  # attempts that ended with their worker
    max_attempts: int
    remaining_ms: int  # until the job's deadline, by the server's clock
    request: JobRequest = Field(repr=False)


class Progress(FrozenModel):
    """How far an ingest has come."""

    pages_done: int = Field(description="Read and embedded.")
    pages: int

    def to_string(self) -> str:
        """As the record's hash keeps it."""
        return f"{self.pages_done} {self.pages}"

    @classmethod
    def from_string(cls, text: str) -> Self:
        done, pages = map(int, text.split())
        return cls(pages_done=done, pages=pages)


class JobRecord(FrozenModel):
    """A job as it is written down, without its request and its answer."""

    job_id: str
    kind: KindName
    tenant: str
    queue: str
    state: State
    version: int  # grows with each write; the ETag
    seq: int  # order of creation, unique
    token: int = 0  # of the latest claim
    log_start: int = 0  # length of the log right after it: tells this attempt from any other
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
    usage: Usage | None = None  # of the latest attempt, while it runs too
    progress: Progress | None = None  # of the latest attempt to ingest a document, once it has some
    log_length: int | None = None  # of the whole event log, once the job is final: the log expires before the record
    preview: str = Field(default="", repr=False)
    model: str | None = None
    owner: str | None = None
    error_code: str | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    idempotency: str | None = Field(default=None, repr=False)  # digest of its Idempotency-Key
    queue_position: int | None = None  # 0: next in line; None: not waiting in line
    estimated_wait_ms: int | None = None  # from how fast jobs have ended lately; None: nobody can tell

    @classmethod
    def from_hash(cls, job_id: str, fields: dict[str, Any]) -> Self:
        """Read the hash that the Lua verbs keep. Unknown fields are left out, so that versions can mix."""
        parsers = {"usage": Usage.from_string, "progress": Progress.from_string}
        read = {name: parse(fields[name]) for name, parse in parsers.items() if fields.get(name)}
        return cls.model_validate({"job_id": job_id, **fields, **read})


class QueuePosition(FrozenModel):
    """Where a queued job stands: how many go before it, and how long that may take."""

    queue_position: int
    estimated_wait_ms: int | None

    @classmethod
    def from_reply(cls, position: int, wait_ms: int) -> Self:
        """As the line verb has it; -1: nobody can tell."""
        return cls(queue_position=position, estimated_wait_ms=None if wait_ms < 0 else wait_ms)


class JobView(FrozenModel):
    """A record together with what came of it."""

    record: JobRecord
    answer: Answer | None = Field(default=None, repr=False)
    error: JobError | None = None


class JobDetails(FrozenModel):
    """A record together with what each of its failed attempts met with."""

    record: JobRecord
    failed_attempts: tuple[FailedAttempt, ...]
