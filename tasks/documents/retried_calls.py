"""Calls that a job makes besides its own, each with the timeouts and the retries of a job.

A job of a hundred calls must not repeat them all because one has failed.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobs.errors import AttemptError
from jobs.models import Claim
from jobs.settings import Settings
from tasks.provider.errors import deadline_passed
from tasks.provider.timeouts import Timeouts
from tasks.retry import GiveUp, decide

T = TypeVar("T")
logger = logging.getLogger(__name__)


class RetriedCalls:
    """The calls of one attempt. ``deadline``: the job's, by the clock of the event loop."""

    def __init__(self, claim: Claim, settings: Settings) -> None:
        self._claim = claim
        self._settings = settings
        self.deadline = asyncio.get_running_loop().time() + claim.remaining_ms / 1000

    async def run(self, call: Callable[[Timeouts], Awaitable[T]]) -> T:
        """Make the call, and again after errors that may be temporary. Raises AttemptError."""
        failures = 0
        while True:
            try:
                timeouts = Timeouts.of(self._claim.request.limits, self._remaining_seconds, self._settings)
                return await call(timeouts)
            except AttemptError as error:
                failures += 1
                wait_seconds = self._retry_wait_seconds(error, failures)
                logger.info("call_retried job_id=%s code=%s", self._claim.lease.job_id, error.code)
            await asyncio.sleep(wait_seconds)

    @property
    def _remaining_seconds(self) -> float:
        """Seconds until the job's deadline. Raises DeadlineExceeded."""
        remaining = self.deadline - asyncio.get_running_loop().time()
        if remaining <= 0:
            raise deadline_passed()
        return remaining

    def _retry_wait_seconds(self, error: AttemptError, failures: int) -> float:
        """Seconds until the next call. Raises the error if the call is not retried: it then fails the attempt."""
        decision = decide(
            error,
            failures,
            self._claim.max_attempts,
            self._remaining_seconds,
            self._settings,
            random.random(),  # noqa: S311  # spreads retries
        )
        if isinstance(decision, GiveUp):
            raise error
        return decision.wait_seconds
