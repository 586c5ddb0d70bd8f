"""The shapes of the native API: what is asked in a query or a header, and what is answered.

Requests' bodies are the models of jobs.models; answers here are built from records, with times in ISO 8601 UTC.
"""

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel

from jobs.models import (
    Answer,
    ChatAnswer,
    ChatTask,
    EmbeddingsTask,
    FrozenModel,
    JobError,
    JobRecord,
    JobView,
    TaskRequest,
    Usage,
)
from jobs.reading import Page, Stats
from jobs.states import State

MAX_IDS: Final = 1_000
MAX_WAIT_SECONDS: Final = 60
POLL_SECONDS: Final = 1  # Retry-After of a job that runs, or will as soon as a worker is free
MAX_POLL_SECONDS: Final = 60  # the same of one that waits long for its next attempt: it may be cancelled meanwhile
# Visible characters, bare or as a quoted string (draft-ietf-httpapi-idempotency-key-header); 1 to 255 of them.
_KEY: Final = r'^(?:[\x21\x23-\x7e][\x21-\x7e]{0,254}|"(?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\]){1,255}")$'
_PREFERRED_WAIT: Final = re.compile(r'(?:^|[,;])\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=$|[,;])', re.IGNORECASE)


class Asked(BaseModel):
    """Query or headers: read from strings, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SubmitHeaders(Asked):
    idempotency_key: Annotated[str, Field(pattern=_KEY)] | None = Field(
        default=None,
        alias="Idempotency-Key",
        description="Same key and same body: the same job, also for concurrent requests. Bare or quoted.",
        examples=["order-4711"],
        repr=False,
    )

    @property
    def key(self) -> str | None:
        """Bare, whichever way it was sent."""
        sent = self.idempotency_key
        if sent is None or not sent.startswith('"'):
            return sent
        return re.sub(r"\\(.)", r"\1", sent[1:-1])


class WaitQuery(Asked):
    wait: Annotated[float, Field(ge=0, le=MAX_WAIT_SECONDS)] | None = Field(
        default=None, description="Seconds to wait for the end of the job before answering 202."
    )


class PollHeaders(Asked):
    prefer: str | None = Field(default=None, alias="Prefer", description="`wait=N` asks for the same as ?wait=N.")
    if_none_match: str | None = Field(
        default=None, alias="If-None-Match", description="The ETag of an earlier answer: 304 while it still holds."
    )

    @property
    def wait_seconds(self) -> int | None:
        """Of `Prefer: wait=N`, at most MAX_WAIT_SECONDS; what is malformed is no preference."""
        found = _PREFERRED_WAIT.search(self.prefer or "")
        return min(int(found[1]), MAX_WAIT_SECONDS) if found else None


class TasksQuery(Asked):
    ids: str | None = Field(
        default=None,
        description=f"Up to {MAX_IDS} ids, separated by commas; not together with status or cursor.",
    )
    status: State | None = Field(default=None, description="Only tasks of this status.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Longest page.")
    cursor: Annotated[str, Field(pattern=r"^[0-9a-f]{1,15}$")] | None = Field(
        default=None, description="next_cursor of the page before."
    )

    @property
    def asked_ids(self) -> list[str]:
        return [job_id for job_id in (self.ids or "").split(",") if job_id]


class TaskBody(RootModel[TaskRequest]):
    """A task of one kind: `chat` or `embeddings`."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, json_schema_extra={"x-request": True})
    root: ChatTask | EmbeddingsTask = Field(discriminator="kind")


class ChatJob(FrozenModel):
    """A chat call. `answer` is there once the status is final; `completed` means that it is whole."""

    job_id: str
    status: State
    answer: str | None = Field(repr=False)
    model: str | None
    finish_reason: str | None
    usage: Usage | None
    error: JobError | None
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    queue_position: int | None = Field(description="How many go before it; null when it does not wait in line.")

    @classmethod
    def of(cls, view: JobView) -> Self:
        record, answer = view.record, view.answer if isinstance(view.answer, ChatAnswer) else None
        return cls(
            job_id=record.job_id,
            status=record.state,
            answer=answer.text if answer else None,
            model=(answer.model if answer else None) or record.model or None,
            finish_reason=answer.finish_reason if answer else None,
            usage=answer.usage if answer else None,
            error=view.error,
            attempts=record.attempts,
            created_at=_utc(record.created_at_ms),
            started_at=_utc_or_none(record.started_at_ms),
            finished_at=_utc_or_none(record.finished_at_ms),
            next_attempt_at=_utc_or_none(record.retry_at_ms),
            queue_position=record.queue_position,
        )


class Task(FrozenModel):
    """A task, without its request and its result."""

    task_id: str
    kind: Literal["chat", "embeddings"]
    status: State
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    attempts: int
    max_attempts: int
    queue: str
    queue_position: int | None
    prompt_preview: str = Field(repr=False)
    model: str | None
    error_code: str | None = Field(description="Of the latest attempt that failed.")
    deadline_at: datetime | None = Field(description="When it fails at the latest.")
    retry_of: str | None = Field(description="The task that this one is a retry of.")
    retried_as: str | None = Field(description="The task that is a retry of this one.")

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        return cls(
            task_id=record.job_id,
            kind=record.kind,
            status=record.state,
            created_at=_utc(record.created_at_ms),
            started_at=_utc_or_none(record.started_at_ms),
            finished_at=_utc_or_none(record.finished_at_ms),
            next_attempt_at=_utc_or_none(record.retry_at_ms),
            attempts=record.attempts,
            max_attempts=record.max_attempts,
            queue=record.queue,
            queue_position=record.queue_position,
            prompt_preview=record.preview,
            model=record.model or None,
            error_code=record.error_code or None,
            deadline_at=_utc_or_none(record.deadline_ms),
            retry_of=record.retry_of,
            retried_as=record.retried_as,
        )


class TaskList(FrozenModel):
    tasks: tuple[Task, ...]
    unknown: tuple[str, ...] = Field(description="Of the ids asked for: those that there is no task of.")
    next_cursor: str | None = Field(description="For the next page; null on the last one.")

    @classmethod
    def of_page(cls, page: Page) -> Self:
        return cls(tasks=tuple(map(Task.of, page.records)), unknown=(), next_cursor=page.next_cursor)


class TaskResult(FrozenModel):
    """What came of a task. A failed or cancelled chat keeps the text that it had."""

    task_id: str
    kind: Literal["chat", "embeddings"]
    status: State
    result: Answer | None = Field(repr=False)
    error: JobError | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        record = view.record
        return cls(task_id=record.job_id, kind=record.kind, status=record.state, result=view.answer, error=view.error)


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


def retry_after_seconds(record: JobRecord, now_seconds: float) -> int:
    """When to ask again for a job that is not final."""
    if record.retry_at_ms is None:
        return POLL_SECONDS
    return min(MAX_POLL_SECONDS, max(POLL_SECONDS, math.ceil(record.retry_at_ms / 1000 - now_seconds)))


def _utc(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _utc_or_none(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else _utc(milliseconds)
