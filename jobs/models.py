"""Jobs as frozen pydantic models: the record of a job, and the lease under which an attempt may write."""

import re
import secrets
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from jobs.base import FrozenModel, json_object, read_stored
from jobs.kinds import KINDS
from jobs.kinds.base import Answer, JobRequest
from jobs.request_id import RequestId
from jobs.results import JobError, Usage
from jobs.states import State
from jobs.tenant import DEFAULT_TENANT, Tenant

JOB_ID_PATTERN: Final = "^[a-z][a-z0-9]{0,15}_[0-9a-f]{32}$"  # any prefix: a newer version may add a kind of job
_JOB_ID = re.compile(JOB_ID_PATTERN)
DEFAULT_QUEUE: Final = "chatqueue"
NO_PROVIDER: Final = "-"  # the pool of jobs that call no provider, or only beside other work
UNKNOWN: Final = "unknown"  # stands for text in a record that this version cannot read
PREVIEW_BYTES = 60  # keeps the record's hash in Redis' compact encoding (values of at most 64 bytes)


def new_job_id(prefix: str = "job") -> str:
    """A new, unique id. The prefix names the endpoint that accepted the job."""
    return f"{prefix}_{secrets.token_hex(16)}"


def is_job_id(text: str) -> bool:
    """True for a well-formed id, whether or not such a job exists."""
    return _JOB_ID.fullmatch(text) is not None  # not match: its `$` accepts a trailing line break


_MAX_MS: Final = 253_402_300_799_999  # the end of the year 9999, beyond which a datetime cannot go
Milliseconds = Annotated[int, Field(ge=0, le=_MAX_MS)]
Count = Annotated[int, Field(ge=0, lt=2**63)]


class FailedAttempt(FrozenModel):
    """The error that ended one attempt."""

    attempt: Count
    at_ms: Milliseconds
    code: str
    message: str

    @classmethod
    def from_entry(cls, number: int, entry: bytes) -> Self:
        """Read one entry of the list of failed attempts, the ``number``-th. Never raises."""
        stand_ins = {"attempt": number, "at_ms": 0, "code": "unreadable", "message": _UNREADABLE_ATTEMPT}
        try:
            return cls.model_validate_json(entry)
        except ValidationError:
            return read_stored(cls, json_object(entry), stand_ins)[0]


_UNREADABLE_ATTEMPT: Final = "this entry cannot be read: another version wrote it, or it is damaged"


class WaitReason(StrEnum):
    """What a queued job waits for."""

    SLOT = "slot"  # of a worker
    PROVIDER_RATE_LIMIT = "provider_rate_limit"
    PROVIDER_DOWN = "provider_down"
    RETRY = "retry"  # the time of its next attempt


class Lane(StrEnum):
    """Interactive jobs start before batch jobs, which nevertheless keep a share of the starts."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Place(FrozenModel):
    """Where a job waits: jobs of one pool wait for the same model, and those of one lane, tenant and fair key in turn.

    ``fair_key``: of one user of the tenant; None for jobs of no particular user.
    """

    pool: str = NO_PROVIDER
    lane: Lane = Lane.INTERACTIVE
    fair_key: str | None = None


class NewJob(FrozenModel):
    """Everything that `create` writes."""

    job_id: str
    tenant: Tenant
    queue: str
    request: JobRequest = Field(repr=False)
    place: Place = Place()
    input_tokens: int = 0  # estimated
    max_output_tokens: int | None = None  # None: the request has no limit
    max_attempts: int
    deadline_seconds: float
    start_by_seconds: float | None = None
    cancel_after_seconds: float | None = None
    idempotency_key: str | None = Field(default=None, repr=False)
    resend_count: int | None = None  # how often the client has sent this request before: see create.lua
    retry_of: str | None = None  # the final job that this job retries; each job is retried at most once
    result_ttl_seconds: int | None = None  # None: the settings' own
    events_ttl_seconds: int | None = None  # None: the settings' own
    request_id: RequestId = None  # of the HTTP request

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
    request_id: RequestId = None  # of the request that created the job


class Claim(FrozenModel):
    """A lease, and the request of its job."""

    lease: Lease
    failures: int  # attempts that failed with an error; attempts that ended with their worker are not counted
    worker_losses: int  # attempts that ended with their worker
    max_attempts: int
    remaining_ms: int  # until the job's deadline, by Redis' clock
    request: JobRequest = Field(repr=False)
    target: str = ""  # the provider and its model; '' for a job that calls no provider, or from the previous version
    waits: int = 0  # attempts that ended through no fault of the job
    age_ms: int = 0  # from the creation of the job to this claim
    is_too_large: bool = False  # more tokens than the target allows in a minute
    is_probe: bool = False  # the call shows whether the provider is back


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


def _parse_usage(value: Any) -> Any:
    """The form in the record's hash; an empty one is none."""
    return (Usage.from_string(value) if value else None) if isinstance(value, str) else value


def _parse_progress(value: Any) -> Any:
    return (Progress.from_string(value) if value else None) if isinstance(value, str) else value


class JobRecord(FrozenModel):
    """The record of a job, without its request and its answer.

    Another version may have written it: ``unreadable`` names what this version cannot read.
    """

    job_id: str
    kind: str  # one of KINDS, unless a newer version created the job
    tenant: Tenant
    queue: str
    state: State | None  # None: a state that this version does not know
    version: Count  # grows with each write; the ETag
    seq: Count  # order of creation, unique
    token: Count = 0  # of the latest claim
    log_start: Count = 0  # length of the log right after that claim: identifies the attempt
    attempts: Count
    failures: Count = 0  # attempts that ended with an error
    waits: Count = 0  # attempts that ended through no fault of the job, as the provider was away or refused
    worker_losses: Count = 0  # attempts that ended with their worker
    max_attempts: Count
    created_at_ms: Milliseconds
    deadline_ms: Milliseconds | None = None
    start_by_ms: Milliseconds | None = None
    cancel_at_ms: Milliseconds | None = None
    started_at_ms: Milliseconds | None = None  # of the latest attempt
    finished_at_ms: Milliseconds | None = None
    retry_at_ms: Milliseconds | None = None  # set while the job waits for its next attempt
    usage: Annotated[Usage | None, BeforeValidator(_parse_usage)] = None  # of the latest attempt, also while it runs
    output_at_ms: Milliseconds | None = None  # when that attempt last wrote output
    progress: Annotated[Progress | None, BeforeValidator(_parse_progress)] = None  # of the latest ingest, with pages
    log_length: Count | None = None  # of the complete event log of a final job; the log may expire before the record
    preview: str = Field(default="", repr=False)
    model: str | None = None
    pool: str | None = None  # None: the previous version created the job
    lane: Lane = Lane.INTERACTIVE
    target: str | None = None  # where it is called or about to be called
    owner: str | None = None
    error_code: str | None = None
    retry_of: str | None = None
    retried_as: str | None = None
    request_id: RequestId = None  # of the request that created the job
    idempotency: str | None = Field(default=None, repr=False)  # digest of its Idempotency-Key
    queue_position: int | None = None  # jobs ahead of this one, at most; None: it waits in no line
    estimated_wait_ms: int | None = None  # from the recent throughput; None: unknown
    waiting_for: WaitReason | None = None
    waiting_until_ms: Milliseconds | None = None
    unreadable: Mapping[str, str | None] = {}  # fields that cannot be read; for the kind and the state with their text

    @classmethod
    def from_hash(cls, job_id: str, fields: dict[str, str]) -> Self:
        """Read the record's hash. Never raises: workers of different versions may run together.

        Unknown fields are ignored. An unreadable field has its default or a stand-in, and ``unreadable`` names it.
        """
        record, names = read_stored(cls, {**fields, "job_id": job_id, "unreadable": {}}, _STAND_INS)
        if record.kind not in KINDS:
            names |= {"kind"}
        if not names:
            return record
        shown = {name: fields.get(name, "")[:MAX_SHOWN_CHARS] if name in _SHOWN else None for name in sorted(names)}
        return record.model_copy(update={"unreadable": shown})

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, also in a state that this version does not know."""
        return self.finished_at_ms is not None if self.state is None else self.state.is_final

    @property
    def status(self) -> str:
        """The name of the state; ``unknown`` for one that this version does not know."""
        return UNKNOWN if self.state is None else self.state.value

    @property
    def is_damaged(self) -> bool:
        """Whether more than the kind is unreadable. Only a cancel, which needs to understand nothing, can end it."""
        return bool(self.unreadable.keys() - {"kind"})


MAX_SHOWN_CHARS: Final = 64  # of a kind or a state that cannot be read
_SHOWN: Final = frozenset({"kind", "state"})
_STAND_INS: Final = {
    "kind": UNKNOWN,
    "tenant": DEFAULT_TENANT,
    "queue": DEFAULT_QUEUE,
    "state": None,
    "version": 0,
    "seq": 0,
    "attempts": 0,
    "max_attempts": 0,
    "created_at_ms": 0,
}


class QueuePosition(FrozenModel):
    """How many jobs are ahead of a queued job, how long they may take, and what it waits for."""

    queue_position: int | None
    estimated_wait_ms: int | None
    waiting_for: WaitReason
    waiting_until_ms: int | None

    @classmethod
    def from_reply(cls, reply: Sequence[Any]) -> Self:
        """From what include_position.lua returns; -1 is unknown."""
        position, wait_ms, reason, until_ms = reply
        return cls(
            queue_position=None if position < 0 else position,
            estimated_wait_ms=None if wait_ms < 0 else wait_ms,
            waiting_for=WaitReason(reason.decode()),
            waiting_until_ms=None if until_ms < 0 else until_ms,
        )


class JobView(FrozenModel):
    """A job's record, and its answer or error."""

    record: JobRecord
    answer: Answer | None = Field(default=None, repr=False)
    error: JobError | None = None


class JobDetails(FrozenModel):
    """A job's record, and the errors of its failed attempts."""

    record: JobRecord
    failed_attempts: tuple[FailedAttempt, ...]
