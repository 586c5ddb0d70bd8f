"""The dispatcher: publishes jobs whose target opens with time.

Every transition that frees a slot or a call dispatches by itself. But a limit of 60 calls a minute opens once a second
without any transition. The leader dispatches then: it asks when that is, and is notified when another process finds a
pool closed for less than a tick.

Survives running twice, late or in two workers: a dispatch publishes only for free slots and open targets.
"""

import asyncio
import math
from contextlib import suppress
from typing import Final

from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from tasks.maintenance.leader import run_while_leader
from tasks.outbox import Outbox

_TICK_SECONDS: Final = 0.5
_MIN_PAUSE_SECONDS: Final = 0.005  # several calls may start together then: 200 dispatches a second at most


class Dispatcher:
    """One for each worker process; ``worker`` is its name in the leader lock."""

    def __init__(self, worker: str, store: AsyncStore, queue: str, outbox: Outbox) -> None:
        self._worker = worker
        self._store = store
        self._queue = queue
        self._outbox = outbox
        self._is_leader = False
        self._opens_at = math.inf  # by the clock of the event loop
        self._opens_sooner = asyncio.Event()

    async def run_forever(self) -> None:
        await run_while_leader(self._worker, self._store, "dispatch", self.dispatch, _TICK_SECONDS, self._sleep)

    def on_opening(self, milliseconds: str) -> None:
        """A pool with waiting jobs may be open in so many ms."""
        if not milliseconds.isdecimal():
            return  # not from one of our scripts
        opens_at = asyncio.get_running_loop().time() + int(milliseconds) / 1000
        if opens_at < self._opens_at:
            self._opens_at = opens_at
            self._opens_sooner.set()

    async def dispatch(self) -> float | None:
        """Dispatch once. Returns the seconds until it may have an effect again; None if that is unknown."""
        self._is_leader = True
        pause = await self._store.run(transitions.dispatch(self._queue))
        await self._outbox.publish()
        return None if pause is None else max(pause, _MIN_PAUSE_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, as the leader at most until a pool may be open."""
        end = asyncio.get_running_loop().time() + seconds
        await asyncio.sleep(min(seconds, _MIN_PAUSE_SECONDS))
        while (remaining := self._wakes_at(end) - asyncio.get_running_loop().time()) > 0:
            self._opens_sooner.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._opens_sooner.wait(), remaining)
        self._is_leader, self._opens_at = False, math.inf

    def _wakes_at(self, end: float) -> float:
        return min(end, self._opens_at) if self._is_leader else end
