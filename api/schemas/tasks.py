"""The task responses of the native API."""

import operator
from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field

from api.schemas.responses import Status, seconds_or_none, status_of, utc, utc_or_none
from jobs.base import FrozenModel
from jobs.kinds import KINDS
from jobs.kinds.base import Answer
from jobs.kinds.embeddings import EmbeddingsAnswer
from jobs.lookup import JobPage
from jobs.models import JobDetails, JobRecord, JobView, Progress, WaitReason
from jobs.results import JobError, Usage
from jobs.vector_encoding import unpack

_KIND: Final = (
    f"The kind of task: {', '.join(f'`{kind}`' for kind in KINDS)}. A newer version of the server may have created a "
    "task of another kind."
)


def unreadable_fields(stored: Mapping[str, str | None]) -> dict[str, str | None]:
    """Under the names of the API: what the record calls its state is the status there."""
    return {"status" if name == "state" else name: value for name, value in stored.items()}


class Task(FrozenModel):
    """A task, without its request and its result."""

    task_id: str
    kind: str = Field(description=_KIND)
    status: Status
    unreadable: dict[str, str | None] = Field(
        default={},
        description="Stored fields of the task that this server cannot read, because another version of the server "
        "wrote them or they are damaged: `kind` and `status` with their text, others with null. Usually empty. Other "
        "members may then be zero, empty or null. Such a task can be cancelled and deleted.",
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    next_attempt_at: datetime | None
    attempts: int
    max_attempts: int = Field(description="Number of attempts that may fail before the task fails.")
    queue: str = Field(description="Name of the queue.")
    queue_position: int | None
    estimated_wait_seconds: float | None
    waiting_for: WaitReason | None
    waiting_until: datetime | None
    usage: Usage | None = Field(
        description="Tokens of the latest attempt, up to now if it is running; null if unknown."
    )
    last_output_at: datetime | None = Field(
        description="Time of the latest output of the latest attempt; null if it has had none."
    )
    progress: Progress | None = Field(
        description="Progress of the latest attempt to ingest a document; null for other tasks."
    )
    prompt_preview: str = Field(repr=False, description="The beginning of the input.")
    model: str | None
    error_code: str | None = Field(description="Error code of the latest failed attempt; null if there is none.")
    deadline_at: datetime | None = Field(description="Time at which the task fails if it is not final.")
    start_by: datetime | None = Field(
        description="Time at which the task fails if no attempt has begun; null if there is no such limit."
    )
    cancel_at: datetime | None = Field(
        description="Time at which the task is cancelled if it is not final; null if there is no such limit."
    )
    retry_of: str | None = Field(description="Id of the task that this task retries; null if it is not a retry.")
    retried_as: str | None = Field(description="Id of the task that retries this task; null if there is none.")
    request_id: str | None = Field(
        description="Id of the request that created the task, as in its header `X-Request-ID`; null if it is unknown."
    )

    @classmethod
    def of(cls, record: JobRecord) -> Self:
        return cls(
            task_id=record.job_id,
            kind=record.kind,
            status=status_of(record),
            unreadable=unreadable_fields(record.unreadable),
            created_at=utc(record.created_at_ms),
            started_at=utc_or_none(record.started_at_ms),
            finished_at=utc_or_none(record.finished_at_ms),
            next_attempt_at=utc_or_none(record.retry_at_ms),
            attempts=record.attempts,
            max_attempts=record.max_attempts,
            queue=record.queue,
            queue_position=record.queue_position,
            estimated_wait_seconds=seconds_or_none(record.estimated_wait_ms),
            waiting_for=record.waiting_for,
            waiting_until=utc_or_none(record.waiting_until_ms),
            usage=record.usage,
            last_output_at=utc_or_none(record.output_at_ms),
            progress=record.progress,
            prompt_preview=record.preview,
            model=record.model or None,
            error_code=record.error_code or None,
            deadline_at=utc_or_none(record.deadline_ms),
            start_by=utc_or_none(record.start_by_ms),
            cancel_at=utc_or_none(record.cancel_at_ms),
            retry_of=record.retry_of,
            retried_as=record.retried_as,
            request_id=record.request_id,
        )


class FailedAttempt(FrozenModel):
    """A failed attempt of a task."""

    attempt: int = Field(description="Number of the attempt, from 1.")
    at: datetime = Field(description="Time of the failure (UTC).")
    code: str = Field(description="A stable error code.")
    message: str = Field(description="An explanation for people; its wording may change.")


class TaskDetails(Task):
    """A task with its failed attempts."""

    failed_attempts: tuple[FailedAttempt, ...] = Field(description="The failed attempts, oldest first.")

    @classmethod
    def of_details(cls, details: JobDetails) -> Self:
        attempts = tuple(
            FailedAttempt(attempt=failed.attempt, at=utc(failed.at_ms), code=failed.code, message=failed.message)
            for failed in details.failed_attempts
        )
        return cls(**dict(Task.of(details.record)), failed_attempts=attempts)


class RetriedTask(FrozenModel):
    """A task that was submitted again."""

    task_id: str = Field(description="Id of the original task.")
    retried_as: str = Field(description="Id of the new task.")


class RetryReport(FrozenModel):
    """The outcome of a bulk retry."""

    matched: int = Field(description="Number of tasks that match the filter and had not been retried.")
    has_more: bool = Field(description="True if further tasks may match: repeat the call to retry them.")
    dry_run: bool = Field(description="True if nothing was retried.")
    retried: tuple[RetriedTask, ...] = Field(description="The retried tasks.")


class TaskList(FrozenModel):
    """A page of tasks."""

    tasks: tuple[Task, ...] = Field(description="The tasks.")
    unknown: tuple[str, ...] = Field(description="The requested ids for which there is no task.")
    next_cursor: str | None

    @classmethod
    def of_page(cls, page: JobPage) -> Self:
        return cls(tasks=tuple(map(Task.of, page.records)), unknown=(), next_cursor=page.next_cursor)


class Embeddings(FrozenModel):
    """The result of an embeddings task."""

    kind: Literal["embeddings"] = "embeddings"
    vectors: tuple[tuple[float, ...], ...] | tuple[str, ...] = Field(
        repr=False, description="One vector per input, in order: numbers, or base64 if requested."
    )
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
    """A task's result. A failed or cancelled chat keeps its partial text."""

    task_id: str
    kind: str = Field(description=_KIND)
    status: Status
    result: Result | None = Field(
        repr=False, description="The result; null until the task is final, or if it has none."
    )
    error: JobError | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        record, answer = view.record, view.answer
        result = Embeddings.of(answer) if isinstance(answer, EmbeddingsAnswer) else answer
        return cls(task_id=record.job_id, kind=record.kind, status=status_of(record), result=result, error=view.error)
