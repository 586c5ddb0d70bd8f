"""The gate before the claims: a worker claims jobs only while its writes are as safe as the settings ask for.

A claim that is not safe has no answer yet. On a server that can never make it safe, such as one without an append-only
file under CHATQUEUE_DURABILITY=disk, the worker would hold the job for ever. So the gate tries a write when the worker
starts, closes when a write is not safe, and opens again as soon as one is.

Logs:
    takes_no_jobs     problem: why the worker's writes are not safe
    takes_jobs_again
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from jobs.errors import StoreUnavailable
from jobs.storage.async_store import AsyncStore
from jobs.storage.server_info import write_probe

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 1.0  # before a message returns to the queue, from which the worker may take it again


class ClaimGate:
    """Belongs to the event loop of the process."""

    def __init__(self, store: AsyncStore) -> None:
        self._store = store
        self._is_known = asyncio.Event()
        self._is_open = False
        self._on_change: Callable[[bool], None] = lambda _: None

    def notify(self, on_change: Callable[[bool], None]) -> None:
        """Call this with whether jobs may be claimed: now if that is known, and whenever it changes."""
        self._on_change = on_change
        if self._is_known.is_set():
            on_change(self._is_open)

    async def may_claim(self) -> bool:
        """Whether jobs may be claimed now. Waits for the first write; if they may not, also for a moment."""
        await self._is_known.wait()
        if not self._is_open:
            await asyncio.sleep(_PAUSE_SECONDS)
        return self._is_open

    async def watch_forever(self) -> None:
        """Open and close the gate. Returns only when the process stops, with the gate closed."""
        with suppress(StoreUnavailable):
            while True:
                await self._wait_until_safe()
                self._set(is_open=True)
                await self._store.unsafe.wait()
        self._set(is_open=False)

    async def _wait_until_safe(self) -> None:
        closing = asyncio.create_task(self._close_when_unsafe())
        try:
            await self._store.run(write_probe())
        finally:
            closing.cancel()

    async def _close_when_unsafe(self) -> None:
        await self._store.unsafe.wait()
        logger.warning("takes_no_jobs problem=%r", self._store.unsafe_problem)
        self._set(is_open=False)

    def _set(self, *, is_open: bool) -> None:
        if self._is_known.is_set() and is_open == self._is_open:
            return
        if is_open and self._is_known.is_set():
            logger.info("takes_jobs_again")
        self._is_open = is_open
        self._is_known.set()
        self._on_change(is_open)
