"""The heartbeat of a worker process: renews all its leases in one call, and detects lost leases.

A lease is lost when its job is cancelled, deleted, or claimed by another worker. The attempt is then stopped
immediately: its connection to the provider closes, and its writes are refused.

The process that takes the jobs of a worker also reports the worker's status. A prefork child only renews leases.

Logs:
    attempt_released    job_id, request_id: the worker is stopping and the job goes back to the queue
    heartbeat_failed    error: a heartbeat raised; the next one follows at the usual time
    heartbeat_stopped   the process is stopping during an outage of Redis
    lease_lost          job_id, request_id, attempt
    listener_refused    reply: Redis does not let this worker listen for cancels; heartbeats detect them, later
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import Any, Final, TypeVar

from jobs.errors import StoreUnavailable
from jobs.models import Lease
from jobs.repeated_problem import RepeatedProblem
from jobs.request_id import UNKNOWN
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.message_template import MessageTemplate
from jobs.storage.worker_reports import report_worker
from jobs.workers import WorkerStatus

T = TypeVar("T")
logger = logging.getLogger(__name__)

_STATUS_POLL_SECONDS: Final = 0.5  # a worker that starts or stops taking jobs is reported within this time


class StopReason(Enum):
    """Why an attempt is stopped before the provider has finished."""

    LEASE_LOST = "lease_lost"  # the attempt may not write any more
    WORKER_STOPPING = "worker_stopping"  # the grace period is over: the job returns to the queue


class AttemptStopped(Exception):
    """Raised by ``RunningAttempt.run`` in place of the cancellation."""

    def __init__(self, reason: StopReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class RunningAttempt:
    """A lease while its attempt runs. ``run`` may be called once."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._reason: StopReason | None = None
        self._task: asyncio.Task[Any] | None = None
        self._finishes_despite_drain = False

    @property
    def has_lost_lease(self) -> bool:
        return self._reason is StopReason.LEASE_LOST

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work of the attempt. Raises AttemptStopped as soon as ``stop`` is called."""
        self._task = task = asyncio.ensure_future(work)
        if self._reason is not None:
            task.cancel()
        try:
            return await task
        except asyncio.CancelledError:
            if self._reason is None:
                raise
            raise AttemptStopped(self._reason) from None

    def finish_despite_drain(self) -> None:
        """Let the attempt write its answer even if the worker is stopping: the answer is complete and paid for."""
        self._finishes_despite_drain = True

    def stop(self, reason: StopReason) -> None:
        """Cancel the work, which closes its connection to the provider.

        The first reason counts, except that a lost lease replaces any other.
        """
        if reason is StopReason.WORKER_STOPPING and self._finishes_despite_drain:
            return
        if self._reason is None or reason is StopReason.LEASE_LOST:
            self._reason = reason
        if self._task is not None:
            self._task.cancel()


class Heartbeat:
    """Renews the leases of one worker process, and stops attempts that have lost theirs."""

    def __init__(self, worker: str, store: AsyncStore, message_template: MessageTemplate, settings: Settings) -> None:
        self._worker = worker
        self._store = store
        self._message_template = message_template
        self._settings = settings
        self._running_attempts: dict[str, RunningAttempt] = {}
        self._is_draining = False
        self._read_status: Callable[[], WorkerStatus] | None = None
        self._was_taking: bool | None = False  # at the last report
        self._is_due = asyncio.Event()
        self._problem = RepeatedProblem()

    def report(self, read_status: Callable[[], WorkerStatus]) -> None:
        """Report this status with each heartbeat. May be called from any thread."""
        self._read_status = read_status

    def renew_soon(self) -> None:
        """Send the next heartbeat immediately."""
        self._is_due.set()

    def track(self, lease: Lease) -> RunningAttempt:
        running_attempt = self._running_attempts[lease.job_id] = RunningAttempt(lease)
        if self._is_draining:  # its claim was under way when the others were stopped
            running_attempt.stop(StopReason.WORKER_STOPPING)
        return running_attempt

    def untrack(self, running_attempt: RunningAttempt) -> None:
        """Stop renewing the lease of an attempt that has ended. A later attempt at the same job stays tracked."""
        if self._is_tracked(running_attempt):
            del self._running_attempts[running_attempt.lease.job_id]

    def drain(self) -> None:
        """Stop every running attempt, so that its job returns to the queue: the worker is stopping."""
        self._is_draining = True
        for running_attempt in list(self._running_attempts.values()):
            lease = running_attempt.lease
            logger.info("attempt_released job_id=%s request_id=%s", lease.job_id, lease.request_id or UNKNOWN)
            running_attempt.stop(StopReason.WORKER_STOPPING)

    async def renew_forever(self) -> None:
        while True:
            started = time.monotonic()
            try:
                await self._renew_leases()
                self._touch_file()
            except StoreUnavailable:
                logger.info("heartbeat_stopped")  # with the process
            except Exception as error:  # noqa: BLE001  # one failed heartbeat must not cost every lease
                if self._problem.is_new(type(error).__name__):
                    logger.error("heartbeat_failed error=%s", type(error).__name__)  # noqa: TRY400
            else:
                self._problem.end()
            await self._wait(self._settings.heartbeat_seconds - (time.monotonic() - started))

    def _touch_file(self) -> None:
        """For the probe of a container: the age of the file is the time since this worker last renewed its leases."""
        if self._read_status is not None and self._settings.heartbeat_file is not None:
            self._settings.heartbeat_file.touch(mode=0o644)

    async def _wait(self, seconds: float) -> None:
        """Wait until the next heartbeat is due, or the worker has started or stopped taking jobs."""
        end = time.monotonic() + seconds
        while not self._is_due.is_set() and time.monotonic() < end and not self._has_changed():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_due.wait(), min(seconds, _STATUS_POLL_SECONDS))
        self._is_due.clear()

    def _has_changed(self) -> bool:
        return self._read_status is not None and self._read_status().takes_jobs != self._was_taking

    async def _renew_leases(self) -> None:
        running_attempts = list(self._running_attempts.values())
        leases = [running_attempt.lease for running_attempt in running_attempts]
        renewal, report = await asyncio.gather(  # in one round trip
            self._renew(leases), self._report(), return_exceptions=True
        )
        if isinstance(renewal, BaseException):
            raise renewal
        for running_attempt in running_attempts:
            lease = running_attempt.lease
            if lease.job_id in renewal and self._is_tracked(running_attempt):
                request_id = lease.request_id or UNKNOWN
                logger.info("lease_lost job_id=%s request_id=%s attempt=%d", lease.job_id, request_id, lease.attempt)
                running_attempt.stop(StopReason.LEASE_LOST)
        if isinstance(report, BaseException):
            raise report

    async def _renew(self, leases: list[Lease]) -> frozenset[str]:
        is_worker = self._read_status is not None
        return await self._store.run(transitions.renew(self._worker if is_worker else "", leases, self._settings))

    async def _report(self) -> None:
        if self._read_status is not None:
            status = self._read_status()
            self._was_taking = status.takes_jobs
            await self._store.run(report_worker(status, self._message_template, self._settings))

    def _is_tracked(self, running_attempt: RunningAttempt) -> bool:
        return self._running_attempts.get(running_attempt.lease.job_id) is running_attempt

    def on_cancelled(self, job_id: str) -> None:
        """Stop the attempt of a cancelled job immediately. The next renewal detects a cancel that was missed."""
        running_attempt = self._running_attempts.get(job_id)
        if running_attempt is not None:
            running_attempt.stop(StopReason.LEASE_LOST)
