"""The heartbeat of a worker process: renews all its leases in one call, and learns which of them are lost.

A lease is lost when its job was cancelled, deleted, or claimed by another worker. The attempt is then stopped at
once: its upstream connection closes, and whatever it would still write is refused by the token anyway.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine
from typing import Any, Final

import redis.asyncio
from redis.exceptions import RedisError

from jobs import keys, verbs
from jobs.async_store import AsyncStore
from jobs.models import Lease
from jobs.settings import Settings

logger = logging.getLogger(__name__)

_LISTEN_RETRY_SECONDS: Final = 1.0


class LeaseLost(Exception):
    """The attempt may not write any more."""


class Hold:
    """A lease while its attempt runs. ``run`` may be called once."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.is_lost = False
        self._work: asyncio.Task[Any] | None = None

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the attempt's work; raises LeaseLost as soon as the lease is."""
        self._work = asyncio.ensure_future(work)
        if self.is_lost:
            self._work.cancel()
        try:
            await self._work
        except asyncio.CancelledError:
            if self.is_lost:
                raise LeaseLost from None
            raise

    def lose(self) -> None:
        self.is_lost = True
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

    async def beat_forever(self) -> None:
        while True:
            started = time.monotonic()
            await self._beat()
            await asyncio.sleep(max(0.0, self._settings.heartbeat_seconds - (time.monotonic() - started)))

    async def _beat(self) -> None:
        holds = list(self._holds.values())
        lost = await self._store.run(verbs.renew(self._worker, [hold.lease for hold in holds], self._settings))
        for hold in holds:
            if hold.lease.job_id in lost:
                logger.info("lease_lost", extra={"job_id": hold.lease.job_id, "attempt": hold.lease.attempt})
                hold.lose()

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
            hold.lose()
