"""The outcomes of an attempt, and the translation of an exception into one of them."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TypeAlias

from jobs.errors import AttemptCrashed, AttemptError
from jobs.results import JobError
from jobs.states import State
from tasks.heartbeat import AttemptStopped, StopReason

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Finished:
    state: State
    error: JobError | None = None


@dataclass(frozen=True)
class Retrying:
    """The attempt failed or was released; the job is queued again."""

    error: JobError | None
    retry_at_ms: int


@dataclass(frozen=True)
class Skipped:
    """Nothing was written, because the job does not belong to this worker, or no longer does."""

    reason: str


Outcome: TypeAlias = Finished | Retrying | Skipped


@dataclass(frozen=True)
class Drained:
    """The worker is stopping: the job returns to the queue, and the attempt is not counted."""


Failure: TypeAlias = AttemptError | Drained | Skipped  # how an attempt without an answer ends

UNABLE = "unable"  # the reason of a job that was put back because this worker lacks what the job needs
NOT_SAFE = "writes_not_safe"  # the job was not claimed, and another worker may be able to
LEASE_LOST = Skipped(StopReason.LEASE_LOST.value)


def classify(job_id: str, error: BaseException) -> Failure:
    """Translate an exception that ended an attempt. Any exception that is not ours is a crash of the attempt."""
    match error:
        case AttemptError():
            return error
        case (
            AttemptStopped(reason=StopReason.WORKER_STOPPING) | asyncio.CancelledError()
        ):  # the pool has ended the task
            return Drained()
        case AttemptStopped():
            return Skipped(error.reason.value)
    # Only the error's type: its text may quote the answer.
    logger.error("attempt_crashed job_id=%s error=%s", job_id, type(error).__name__)
    return AttemptCrashed(f"the attempt ended with {type(error).__name__}, a fault of the server")
