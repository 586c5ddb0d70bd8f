"""What the native API answers, built from records, with times in ISO 8601 UTC."""

import math
import operator
from datetime import UTC, datetime
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Json

from jobs.base import FrozenModel
from jobs.events import Event
from jobs.kinds import KINDS, KindName
from jobs.kinds.base import Answer, TextAnswer
from jobs.kinds.chat import ChatAnswer
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.lookup import JobPage, Stats
from jobs.models import JobDetails, JobRecord, JobView, Progress
from jobs.results import Citation, JobError, Usage
from jobs.states import State
from jobs.storage.transitions import Created
from jobs.vectors import unpack

POLL_SECONDS: Final = 1  # Retry-After of a job that runs, or will as soon as a worker is free
MAX_POLL_SECONDS: Final = 60  # the same of one that waits long for its next attempt: it may be cancelled meanwhile


class ChatJob(FrozenModel):
    """A chat call. `answer` is there once the status is final; `completed` means that it is whole."""

    job_id: str
    status: State
    answer: str | None = Field(repr=False)
    model: str | None
    finish_reason: str | None
    usage: Usage | None
    error: JobError | None
    citations: tuple[Citation, ...] | None = Field(description="Where the answer stands, when documents were asked.")
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    queue_position: int | None = Field(description="How many go before it; null when it does not wait in line.")
    estimated_wait_seconds: float | None = Field(
        description="Until it is at the head of the line, as fast as jobs have ended lately; null when nobody can tell."
    )

    @classmethod
    def of(cls, view: JobView) -> Self:
        record, answer = view.record, view.answer if isinstance(view.answer, TextAnswer) else None
        return cls(
            job_id=record.job_id,
            status=record.state,
            answer=answer.text if answer else None,
            model=(answer.model if answer else None) or record.model or None,
            finish_reason=answer.finish_reason if answer else None,
            usage=answer.usage if answer else record.usage,
            error=view.error,
            citations=answer.citations if isinstance(answer, ChatAnswer) else None,
            attempts=record.attempts,
            created_at=utc(record.created_at_ms),
            started_at=_utc_or_none(record.started_at_ms),
            finished_at=_utc_or_none(record.finished_at_ms),
            next_attempt_at=_utc_or_none(record.retry_at_ms),
            queue_position=record.queue_position,
            estimated_wait_seconds=_seconds_or_none(record.estimated_wait_ms),
        )


class StreamStatus(FrozenModel):
    """How a job stands that is followed: the event `status` of a stream, which has no id and is not in the log."""

    type: Literal["status"] = "status"
    job_id: str
    status: State
    attempts: int
    next_attempt_at: datetime | None
    queue_position: int | None
    estimated_wait_seconds: float | None

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        return cls(
            job_id=record.job_id,
            status=record.state,
            attempts=record.attempts,
            next_attempt_at=_utc_or_none(record.retry_at_ms),
            queue_position=record.queue_position,
            estimated_wait_seconds=_seconds_or_none(record.estimated_wait_ms),
        )


class StreamMessage(BaseModel):
    """One message of a stream, as the HTML standard has it."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = Field(default=None, description="The event's sequence number; `status` has none.")
    event: str = Field(description="The type of what `data` holds.")
    data: Json[Event | StreamStatus]


class Task(FrozenModel):
    """A task, without its request and its result."""

    task_id: str
    kind: KindName
    status: State
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    attempts: int
    max_attempts: int
    queue: str
    queue_position: int | None
    estimated_wait_seconds: float | None
    usage: Usage | None = Field(description="Tokens of the latest attempt; of one that runs, so far.")
    progress: Progress | None = Field(description="Of the latest attempt to ingest a document; null until it has some.")
    prompt_preview: str = Field(repr=False)
    model: str | None
    error_code: str | None = Field(description="Of the latest attempt that failed.")
    deadline_at: datetime | None = Field(description="When it fails at the latest.")
    start_by: datetime | None = Field(description="When it fails unless an attempt has begun.")
    cancel_at: datetime | None = Field(description="When it is cancelled unless it has ended.")
    retry_of: str | None = Field(description="The task that this one is a retry of.")
    retried_as: str | None = Field(description="The task that is a retry of this one.")

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        return cls(
            task_id=record.job_id,
            kind=record.kind,
            status=record.state,
            created_at=utc(record.created_at_ms),
            started_at=_utc_or_none(record.started_at_ms),
            finished_at=_utc_or_none(record.finished_at_ms),
            next_attempt_at=_utc_or_none(record.retry_at_ms),
            attempts=record.attempts,
            max_attempts=record.max_attempts,
            queue=record.queue,
            queue_position=record.queue_position,
            estimated_wait_seconds=_seconds_or_none(record.estimated_wait_ms),
            usage=record.usage,
            progress=record.progress,
            prompt_preview=record.preview,
            model=record.model or None,
            error_code=record.error_code or None,
            deadline_at=_utc_or_none(record.deadline_ms),
            start_by=_utc_or_none(record.start_by_ms),
            cancel_at=_utc_or_none(record.cancel_at_ms),
            retry_of=record.retry_of,
            retried_as=record.retried_as,
        )


class FailedAttempt(FrozenModel):
    """What one failed attempt met with."""

    attempt: int
    at: datetime
    code: str
    message: str


class TaskDetails(Task):
    """A task, and what each of its failed attempts met with."""

    failed_attempts: tuple[FailedAttempt, ...]

    @classmethod
    def of_details(cls, details: JobDetails) -> Self:
        attempts = tuple(
            FailedAttempt(attempt=failed.attempt, at=utc(failed.at_ms), code=failed.code, message=failed.message)
            for failed in details.failed_attempts
        )
        return cls(**dict(Task.of(details.record)), failed_attempts=attempts)


class RetriedTask(FrozenModel):
    task_id: str
    retried_as: str


class RetryReport(FrozenModel):
    """`matched` tasks fit the filter and had not been retried; `has_more` when the limit left some out."""

    matched: int
    has_more: bool
    dry_run: bool
    retried: tuple[RetriedTask, ...]


class TaskList(FrozenModel):
    tasks: tuple[Task, ...]
    unknown: tuple[str, ...] = Field(description="Of the ids asked for: those that there is no task of.")
    next_cursor: str | None = Field(description="For the next page; null on the last one.")

    @classmethod
    def of_page(cls, page: JobPage) -> Self:
        return cls(tasks=tuple(map(Task.of, page.records)), unknown=(), next_cursor=page.next_cursor)


class Embeddings(FrozenModel):
    """One vector for each input text, in order: numbers, or base64 where the request said so."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[tuple[float, ...], ...] | tuple[str, ...] = Field(repr=False)
    model: str | None
    usage: Usage | None

    @classmethod
    def of(cls, answer: EmbeddingsAnswer) -> Self:
        is_text = answer.encoding_format == "base64"
        vectors = answer.vectors if is_text else tuple(tuple(unpack(vector)) for vector in answer.vectors)
        return cls(vectors=vectors, model=answer.model, usage=answer.usage)


if TYPE_CHECKING:
    Result: TypeAlias = Answer | Embeddings
else:
    _MODELS = (Embeddings if kind.answer is EmbeddingsAnswer else kind.answer for kind in KINDS.values())
    Result = Annotated[reduce(operator.or_, _MODELS), Field(discriminator="kind")]


class TaskResult(FrozenModel):
    """What came of a task. A failed or cancelled chat keeps the text that it had."""

    task_id: str
    kind: KindName
    status: State
    result: Result | None = Field(repr=False)
    error: JobError | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        record, answer = view.record, view.answer
        result = Embeddings.of(answer) if isinstance(answer, EmbeddingsAnswer) else answer
        return cls(task_id=record.job_id, kind=record.kind, status=record.state, result=result, error=view.error)


class QueueStats(Stats):
    workers_alive: int

    @classmethod
    def of(cls, stats: Stats) -> Self:
        return cls(**dict(stats), workers_alive=len(stats.workers))


class Alive(FrozenModel):
    status: Literal["ok"]


class RedisHealth(FrozenModel):
    ok: Literal[True]
    latency_ms: float = Field(description="Of one write.")


class Health(FrozenModel):
    """`degraded`: requests are accepted, but no worker is alive to do them."""

    status: Literal["ok", "degraded"]
    redis: RedisHealth
    queued: int
    in_progress: int
    workers_alive: int
    workers: tuple[str, ...]


def accepted_headers(location: str, created: Created) -> dict[str, str]:
    """Of a 202 to a submit."""
    return {"Location": location, "Retry-After": str(POLL_SECONDS), **replayed_header(created)}


def replayed_header(created: Created) -> dict[str, str]:
    return {} if created.is_new else {"Idempotency-Replayed": "true"}


def retry_after_seconds(record: JobRecord, now_seconds: float) -> int:
    """When to ask again for a job that is not final."""
    if record.retry_at_ms is None:
        return POLL_SECONDS
    return min(MAX_POLL_SECONDS, max(POLL_SECONDS, math.ceil(record.retry_at_ms / 1000 - now_seconds)))


def _seconds_or_none(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _utc_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else utc(milliseconds)
