"""The task body, which Celery calls for each message."""

from datetime import UTC, datetime
from typing import Any

from celery.exceptions import Ignore, Reject, Retry

from tasks import app
from tasks.attempt.outcomes import NOT_SAFE, Retrying, Skipped
from tasks.attempt.steps import attempt
from tasks.celery_ext.event_loop import wait_for
from tasks.queue_message import RUN_JOB
from tasks.worker_process import runtime


class JobFailed(Exception):
    """The job has failed; Celery's state is FAILURE. Contains the error's code, no prompt and no answer."""


@app.task(name=RUN_JOB, bind=True, throws=(JobFailed,))  # type: ignore[untyped-decorator]
def run_job(self: Any) -> str:
    """Make one attempt at the job whose id is this task's id. Returns the job's final state.

    The answer is not returned: it is already in the result backend. The outcome maps to Celery's own states (SUCCESS,
    RETRY, FAILURE), so that events, Flower and monitoring are correct.
    """
    job_id = self.request.id
    worker_runtime = runtime()
    if worker_runtime.is_stopping:
        raise Reject("worker_stopping", requeue=True)
    outcome = wait_for(attempt(worker_runtime.services, job_id))
    if outcome == Skipped(NOT_SAFE):
        raise Reject(NOT_SAFE, requeue=True)
    if isinstance(outcome, Skipped):
        raise Ignore(outcome.reason)
    if isinstance(outcome, Retrying):
        retry_at = datetime.fromtimestamp(outcome.retry_at_ms / 1000, UTC)
        raise Retry(outcome.error.code if outcome.error else "worker_stopping", when=retry_at)
    if outcome.error is not None:
        raise JobFailed(outcome.error.code)
    return str(outcome.state)
