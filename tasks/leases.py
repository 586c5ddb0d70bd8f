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


class Stop(Enum):
    """Why an attempt is stopped before the provider has ended."""

    LEASE_LOST = "lease_lost"  # it may not write any more
    WORKER_STOPS = "worker_stops"  # the grace period is over: the job goes back to the queue


class Stopped(Exception):
    """Raised by ``Hold.run`` in place of the cancellation."""

    def __init__(self, reason: Stop) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Hold:
    """A lease while its attempt runs. ``run`` may be called once."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._reason: Stop | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def is_lost(self) -> bool:
        return self._reason is Stop.LEASE_LOST

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the attempt's work; raises Stopped as soon as ``stop`` is called."""
        self._work = asyncio.ensure_future(work)
        if self._reason is not None:
            self._work.cancel()
        try:
            await self._work
        except asyncio.CancelledError:
            if self._reason is None:
                raise
            raise Stopped(self._reason) from None

    def stop(self, reason: Stop) -> None:
        """The work is cancelled, which closes its upstream connection. The first reason stays, but a loss wins."""
        if self._reason is None or reason is Stop.LEASE_LOST:
            self._reason = reason
        if self._work is not None:
            self._work.cancel()


class Heartbeat:
    """One for each worker process."""

    def __init__(self, worker: str, store: AsyncStore, listener: redis.asyncio.Redis, settings: Settings) -> None:
        self._worker = worker
        self._store = store
        self._listener = listener
        self._settings = settings
        self._holds: dict[str, Hold] = {}

    def hold(self, lease: Lease) -> Hold:
        hold = self._holds[lease.job_id] = Hold(lease)
        return hold

    def drop(self, hold: Hold) -> None:
        """The attempt has ended. A later attempt of the same job on this worker keeps its own hold."""
        if self._holds.get(hold.lease.job_id) is hold:
            del self._holds[hold.lease.job_id]

    def give_back(self) -> None:
        """The worker stops: every attempt that still runs ends, and its job goes back to the queue."""
        for hold in list(self._holds.values()):
            logger.info("attempt_given_back job_id=%s", hold.lease.job_id)
            hold.stop(Stop.WORKER_STOPS)

    async def beat_forever(self) -> None:
        while True:
            started = time.monotonic()
            try:
                await self._beat()
            except StoreUnavailable:
                logger.info("heartbeat_ends")  # with the process
            except Exception as error:  # noqa: BLE001  # one beat that fails must not cost every lease
                logger.error("heartbeat_failed error=%s", type(error).__name__)  # noqa: TRY400
            await asyncio.sleep(max(0.0, self._settings.heartbeat_seconds - (time.monotonic() - started)))

    async def _beat(self) -> None:
        holds = list(self._holds.values())
        lost = await self._store.run(transitions.renew(self._worker, [hold.lease for hold in holds], self._settings))
        for hold in holds:
            if hold.lease.job_id in lost and self._holds.get(hold.lease.job_id) is hold:  # not ended meanwhile
                logger.info("lease_lost job_id=%s attempt=%d", hold.lease.job_id, hold.lease.attempt)
                hold.stop(Stop.LEASE_LOST)

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
        hold = self._holds.get(job_id)
        if hold is not None:
            hold.stop(Stop.LEASE_LOST)
