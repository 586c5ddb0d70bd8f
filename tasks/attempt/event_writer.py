"""Writes an attempt's tokens to the job's event log: the first words at once, then what came within the interval.

What has not been written when the answer ends is its tail, and leaves with the write that ends the attempt.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from jobs.results import Usage
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.transitions import Tail
from tasks.leases import Hold, Stop, Stopped
from tasks.provider.formats.delta import Piece

_MOST_AT_ONCE: Final = 500  # pieces in one write: a script takes some thousand arguments
_MOST_OPENINGS: Final = 8  # pieces before the first words that are written at once, each when it comes


class EventWriter:
    """For one attempt. ``text`` is the answer so far, written or not; ``usage`` may be an estimate.

    ``input_chars``: of what the provider was given to read.
    """

    def __init__(self, hold: Hold, store: AsyncStore, interval_seconds: float, input_chars: int) -> None:
        self._hold = hold
        self._store = store
        self._interval_seconds = interval_seconds
        self.input_chars = input_chars
        self._log_length = hold.lease.log_length
        self._pieces: list[Piece] = []
        self._written = 0
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._said_usage: Usage | None = None

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self._pieces)

    @property
    def usage(self) -> Usage:
        return self._said_usage or Usage.estimate(self.input_chars, len(self._pieces))

    @property
    def tail(self) -> Tail:
        """Of a closed writer: what is left to be written."""
        return Tail(self._log_length, _events(self._pieces[self._written :]))

    def add(self, piece: Piece) -> None:
        """Take a piece; what it says is in the log within about an interval."""
        self._said_usage = piece.usage or self._said_usage
        if not piece.text and piece.data is None:
            return
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

    @property
    def _has_more(self) -> bool:
        """A closed writer keeps back what one write takes."""
        kept = _MOST_AT_ONCE if self._closing.is_set() else 0
        return len(self._pieces) - self._written > kept and not self._hold.is_lost

    @property
    def _has_begun(self) -> bool:
        """What opens an answer, a role or an item, is told without making the first words wait for the next write."""
        return self._written > _MOST_OPENINGS or any(
            piece.text or piece.delta for piece in self._pieces[: self._written]
        )

    async def _flush_while_pieces_come(self) -> None:
        while self._has_more:
            await self._write(min(len(self._pieces), self._written + _MOST_AT_ONCE))
            if not self._has_begun:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._closing.wait()

    async def _write(self, up_to: int) -> None:
        tail = Tail(self._log_length, _events(self._pieces[self._written : up_to]))
        length = await self._store.run(transitions.append(self._hold.lease, tail, self.usage))
        if length is None:
            self._hold.stop(Stop.LEASE_LOST)
        else:
            self._log_length = length
            self._written = up_to


def _events(pieces: Iterable[Piece]) -> tuple[str, ...]:
    return tuple(_event(list(run)) for _, run in groupby(pieces, key=_joined_by))


def _joined_by(piece: Piece) -> str | int | None:
    """Texts that come together are one event, and so is what one thing has grown by; other data is one by itself."""
    if piece.data is None:
        return None
    return piece.data_json if piece.delta else id(piece)


def _event(run: list[Piece]) -> str:
    text = "".join(piece.text for piece in run)
    if run[0].data is None:
        return transitions.delta(text)
    return transitions.upstream(run[0].data_json, text, "".join(piece.delta for piece in run))
