"""A plain Celery task that retries itself, for the tests of our pool. A worker loads it with `-I`."""

from typing import Any

from celery import shared_task

FAILURES = 2


@shared_task(name="tests.succeeds_at_last", bind=True, ignore_result=False, max_retries=FAILURES)
def succeeds_at_last(self: Any) -> int:
    """Retries twice, then returns the number of retries."""
    if self.request.retries < FAILURES:
        raise self.retry(countdown=0)
    return self.request.retries
