"""The heartbeat of a worker process: renews all its leases in one call, and learns which of them are lost.

A lease is lost when its job was cancelled, deleted, or claimed by another worker. The attempt is then stopped at
once: its upstream connection closes, and whatever it would still write is refused by the token anyway.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from enum import Enum
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from jobs.errors import StoreUnavailable
from jobs.models import Lease
from jobs.settings import Settings
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore

logger = logging.getLogger(__name__)

_LISTEN_RETRY_SECONDS: Final = 1.0


class StopReason(Enum):
    """Why an attempt is stopped before the provider has ended."""

    LEASE_LOST = "lease_lost"  # it may not write any more
    WORKER_STOPPING = "worker_stopping"  # the grace period is over: the job goes back to the queue


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
        self._task: asyncio.Task[None] | None = None

    @property
    def has_lost_lease(self) -> bool:
        return self._reason is StopReason.LEASE_LOST

    async def run(self, attempt_task: Coroutine[Any, Any, None]) -> None:
        """Do the attempt's task; raises AttemptStopped as soon as ``stop`` is called."""
        self._task = asyncio.ensure_future(attempt_task)
        if self._reason is not None:
            self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            if self._reason is None:
                raise
            raise AttemptStopped(self._reason) from None

    def stop(self, reason: StopReason) -> None:
        """The task is cancelled, which closes its upstream connection. The first reason stays, but a loss wins."""
        if self._reason is None or reason is StopReason.LEASE_LOST:
            self._reason = reason
        if self._task is not None:
            self._task.cancel()


class Heartbeat:
    """One for each worker process."""

    def __init__(self, worker: str, store: AsyncStore, listener: redis.asyncio.Redis, settings: Settings) -> None:
        self._worker = worker
        self._store = store
        self._listener = listener
        self._settings = settings
        self._running_attempts: dict[str, RunningAttempt] = {}

    def track(self, lease: Lease) -> RunningAttempt:
        running_attempt = self._running_attempts[lease.job_id] = RunningAttempt(lease)
        return running_attempt

    def untrack(self, running_attempt: RunningAttempt) -> None:
        """The attempt has ended. A later attempt of the same job on this worker keeps its own entry."""
        if self._running_attempts.get(running_attempt.lease.job_id) is running_attempt:
            del self._running_attempts[running_attempt.lease.job_id]

    def drain(self) -> None:
        """The worker stops: every attempt that still runs ends, and its job goes back to the queue."""
        for running_attempt in list(self._running_attempts.values()):
            logger.info("attempt_released job_id=%s", running_attempt.lease.job_id)
            running_attempt.stop(StopReason.WORKER_STOPPING)

    async def renew_forever(self) -> None:
        while True:
            started = time.monotonic()
            try:
                await self._renew_leases()
            except StoreUnavailable:
                logger.info("heartbeat_stopped")  # with the process
            except Exception as error:  # noqa: BLE001  # one beat that fails must not cost every lease
                logger.error("heartbeat_failed error=%s", type(error).__name__)  # noqa: TRY400
            await asyncio.sleep(max(0.0, self._settings.heartbeat_seconds - (time.monotonic() - started)))

    async def _renew_leases(self) -> None:
        running_attempts = list(self._running_attempts.values())
        lost = await self._store.run(
            transitions.renew(
                self._worker, [running_attempt.lease for running_attempt in running_attempts], self._settings
            )
        )
        for running_attempt in running_attempts:
            if (
                running_attempt.lease.job_id in lost
                and self._running_attempts.get(running_attempt.lease.job_id) is running_attempt
            ):  # not ended meanwhile
                logger.info(
                    "lease_lost job_id=%s attempt=%d", running_attempt.lease.job_id, running_attempt.lease.attempt
                )
                running_attempt.stop(StopReason.LEASE_LOST)

    async def listen_forever(self) -> None:
        """Hear of cancels at once; what is missed while Redis is away, the next beat tells."""
        while True:
            try:
                async with self._listener.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(keys.CANCELLED_CHANNEL)
                    while True:
                        message = await channel.get_message(timeout=self._settings.heartbeat_seconds)
                        if message is not None:
                            self._on_cancelled(message["data"].decode())
            except RedisError:
                await asyncio.sleep(_LISTEN_RETRY_SECONDS)

    def _on_cancelled(self, job_id: str) -> None:
        running_attempt = self._running_attempts.get(job_id)
        if running_attempt is not None:
            running_attempt.stop(StopReason.LEASE_LOST)
