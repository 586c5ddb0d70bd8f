"""Writes an attempt's tokens to the job's event log: the first at once, then what came within the interval.

What has not been written when the answer ends is its tail, and leaves with the write that ends the attempt.
"""

import asyncio
import contextlib

from jobs import verbs
from jobs.answers import Usage
from jobs.async_store import AsyncStore
from jobs.verbs import Tail
from tasks.heartbeat import Hold, Stop, Stopped


class EventWriter:
    """For one attempt. ``text`` is the answer so far, written or not; ``usage`` may be an estimate."""

    def __init__(self, hold: Hold, store: AsyncStore, interval_seconds: float, input_chars: int) -> None:
        self._hold = hold
        self._store = store
        self._interval_seconds = interval_seconds
        self._input_chars = input_chars
        self._log_length = hold.lease.log_length
        self._pieces: list[str] = []
        self._written = 0
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._said_usage: Usage | None = None
        self.chars = 0

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @property
    def usage(self) -> Usage:
        return self._said_usage or Usage.estimate(self._input_chars, len(self._pieces))

    @property
    def tail(self) -> Tail:
        """Of a closed writer: what is left to be written."""
        rest = self._pieces[self._written :]
        return Tail(self._log_length, (verbs.delta("".join(rest)),) if rest else ())

    def add(self, piece: str, usage: Usage | None = None) -> None:
        """Take a piece of text; it is in the log within about an interval."""
        self._said_usage = usage or self._said_usage
        if not piece:
            return
        self.chars += len(piece)
        self._pieces.append(piece)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_while_pieces_come())

    async def close(self) -> None:
        """Let a write that is under way end. Raises Stopped when the log has refused one."""
        self._closing.set()
        if self._flusher is not None:
            await self._flusher
        if self._hold.is_lost:
            raise Stopped(Stop.LEASE_LOST)

    async def _flush_while_pieces_come(self) -> None:
        while self._written < len(self._pieces) and not self._hold.is_lost and not self._closing.is_set():
            await self._write(len(self._pieces))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._closing.wait()

    async def _write(self, up_to: int) -> None:
        length = await self._store.run(verbs.append(self._hold.lease, self.tail, self.usage))
        if length is None:
            self._hold.stop(Stop.LEASE_LOST)
        else:
            self._log_length = length
            self._written = up_to
