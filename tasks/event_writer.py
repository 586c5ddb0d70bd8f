"""Writes an attempt's tokens to the job's event log: the first at once, then what came within the interval."""

import asyncio
import contextlib

from jobs import verbs
from jobs.async_store import AsyncStore
from tasks.heartbeat import Hold, Stop, Stopped


class EventWriter:
    """For one attempt. ``text`` is the answer so far, whether written yet or not."""

    def __init__(self, hold: Hold, store: AsyncStore, interval_seconds: float) -> None:
        self._hold = hold
        self._store = store
        self._interval_seconds = interval_seconds
        self._log_length = hold.lease.log_length
        self._pieces: list[str] = []
        self._written = 0
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, piece: str) -> None:
        """Take a piece of text; it is in the log within about an interval."""
        if not piece:
            return
        self._pieces.append(piece)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_while_pieces_come())

    async def close(self) -> None:
        """Write what is left. Raises Stopped when the log refuses it."""
        self._closing.set()
        if self._flusher is not None:
            await self._flusher
        if self._hold.is_lost:
            raise Stopped(Stop.LEASE_LOST)

    async def _flush_while_pieces_come(self) -> None:
        while self._written < len(self._pieces) and not self._hold.is_lost:
            await self._write(self._pieces[self._written :])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._closing.wait()

    async def _write(self, pieces: list[str]) -> None:
        written = self._written + len(pieces)
        command = verbs.append(self._hold.lease, self._log_length, written, [verbs.delta("".join(pieces))])
        length = await self._store.run(command)
        if length is None:
            self._hold.stop(Stop.LEASE_LOST)
        else:
            self._log_length = length
            self._written = written
