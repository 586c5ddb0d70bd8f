"""The chat responses and streams of the native API, and helpers for all responses. Times are ISO 8601 in UTC."""

import math
from datetime import UTC, datetime
from typing import Final, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, Json

from jobs.base import FrozenModel
from jobs.events import Event
from jobs.kinds.base import TextAnswer
from jobs.kinds.chat import ChatAnswer
from jobs.models import JobRecord, JobView, WaitReason
from jobs.results import AnswerSource, Citation, JobError, Usage
from jobs.states import State
from jobs.storage.transitions import Created

POLL_SECONDS: Final = 1  # Retry-After of a job that runs, or starts as soon as a worker is free
MAX_POLL_SECONDS: Final = 60  # Retry-After of a job that waits long for its next attempt, and may be cancelled


Status: TypeAlias = State | Literal["unknown"]


class ChatJob(FrozenModel):
    """A chat call. `answer` is set once the status is final, and complete if the status is `completed`."""

    job_id: str
    status: Status
    answer: str | None = Field(repr=False, description="The answer, possibly partial; null until the job is final.")
    model: str | None
    finish_reason: str | None
    usage: Usage | None
    error: JobError | None
    citations: tuple[Citation, ...] | None = Field(
        description="The passages that support the answer; null if no documents were requested."
    )
    sources: tuple[AnswerSource, ...] | None = Field(
        description="All passages that the model was given; null if no documents were requested."
    )
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    queue_position: int | None
    estimated_wait_seconds: float | None
    waiting_for: WaitReason | None
    waiting_until: datetime | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        record, answer = view.record, view.answer if isinstance(view.answer, TextAnswer) else None
        return cls(
            job_id=record.job_id,
            status=status_of(record),
            answer=answer.text if answer else None,
            model=(answer.model if answer else None) or record.model or None,
            finish_reason=answer.finish_reason if answer else None,
            usage=answer.usage if answer else record.usage,
            error=view.error,
            citations=answer.citations if isinstance(answer, ChatAnswer) else None,
            sources=answer.sources if isinstance(answer, ChatAnswer) else None,
            attempts=record.attempts,
            created_at=utc(record.created_at_ms),
            started_at=utc_or_none(record.started_at_ms),
            finished_at=utc_or_none(record.finished_at_ms),
            next_attempt_at=utc_or_none(record.retry_at_ms),
            queue_position=record.queue_position,
            estimated_wait_seconds=seconds_or_none(record.estimated_wait_ms),
            waiting_for=record.waiting_for,
            waiting_until=utc_or_none(record.waiting_until_ms),
        )


class StreamStatus(FrozenModel):
    """The current status of a streamed job. It is sent as the event `status`, which has no id."""

    type: Literal["status"] = Field(default="status", description="Always `status`.")
    job_id: str
    status: Status
    attempts: int
    next_attempt_at: datetime | None
    queue_position: int | None
    estimated_wait_seconds: float | None
    waiting_for: WaitReason | None
    waiting_until: datetime | None

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        return cls(
            job_id=record.job_id,
            status=status_of(record),
            attempts=record.attempts,
            next_attempt_at=utc_or_none(record.retry_at_ms),
            queue_position=record.queue_position,
            estimated_wait_seconds=seconds_or_none(record.estimated_wait_ms),
            waiting_for=record.waiting_for,
            waiting_until=utc_or_none(record.waiting_until_ms),
        )


class StreamMessage(BaseModel):
    """One message of an event stream, as defined by the HTML standard."""

    model_config = ConfigDict(extra="forbid")
    id: str | None = Field(default=None, description="Sequence number of the event. A `status` has none.")
    event: str = Field(description="The type of the event in `data`.")
    data: Json[Event | StreamStatus] = Field(description="The event, or the job's current status, as JSON.")


def status_of(record: JobRecord) -> Status:
    return "unknown" if record.state is None else record.state


def accepted_headers(location: str, created: Created) -> dict[str, str]:
    """The headers of a 202 response to a submission."""
    return {"Location": location, "Retry-After": str(POLL_SECONDS), **replayed_header(created)}


def replayed_header(created: Created) -> dict[str, str]:
    return {} if created.is_new else {"Idempotency-Replayed": "true"}


def retry_after_seconds(record: JobRecord, now_seconds: float) -> int:
    """Seconds after which a client should poll a job that is not final again."""
    if record.retry_at_ms is None:
        return POLL_SECONDS
    return min(MAX_POLL_SECONDS, max(POLL_SECONDS, math.ceil(record.retry_at_ms / 1000 - now_seconds)))


def seconds_or_none(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def utc_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else utc(milliseconds)
