"""A task of the tests' own, for Celery's own retry on our pool: loaded by a worker with `-I`."""

from typing import Any

from celery import shared_task

FAILURES = 2


@shared_task(name="tests.succeeds_at_last", bind=True, ignore_result=False, max_retries=FAILURES)
def succeeds_at_last(self: Any) -> int:
    """Asks for a retry twice, then returns how many there were."""
    if self.request.retries < FAILURES:
        raise self.retry(countdown=0)
    return self.request.retries
