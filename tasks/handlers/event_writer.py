"""Writes an attempt's deltas to the job's event log: the first words immediately, then one batch for each interval.

The deltas not yet written when the answer ends are its tail, which is written together with the attempt's end.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from jobs.results import Usage
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.transitions import PendingEvents
from tasks.heartbeat import AttemptStopped, RunningAttempt, StopReason
from tasks.provider.formats.delta import Delta

_MAX_DELTAS_PER_WRITE: Final = 500  # deltas in one write: a script takes some thousand arguments
_MAX_PREAMBLE_DELTAS: Final = 8  # deltas before the first words that are written immediately, each on its own


class EventWriter:
    """The event log of one attempt. ``text`` is the answer so far, written or not; ``usage`` may be an estimate."""

    def __init__(self, running_attempt: RunningAttempt, store: AsyncStore, interval_seconds: float) -> None:
        self._running_attempt = running_attempt
        self._store = store
        self._interval_seconds = interval_seconds
        self.input_chars = 0  # length of the prompt, for the estimate of usage
        self._log_length = running_attempt.lease.log_length
        self._deltas: list[Delta] = []
        self._written = 0
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._reported_usage: Usage | None = None

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self._deltas)

    @property
    def usage(self) -> Usage:
        return self._reported_usage or Usage.estimate(self.input_chars, len(self._deltas))

    @property
    def tail(self) -> PendingEvents:
        """The events not yet written when the writer is closed."""
        return PendingEvents(self._log_length, _events(self._deltas[self._written :]))

    def add(self, delta: Delta) -> None:
        """Queue a delta. Its content is written to the log within about one interval."""
        self._reported_usage = delta.usage or self._reported_usage
        if not delta.text and delta.data is None:
            return
        self._deltas.append(delta)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_until_drained())

    async def close(self) -> None:
        """Wait for a write in progress. Raises AttemptStopped if a write was refused."""
        self._closing.set()
        if self._flusher is not None:
            await self._flusher
        if self._running_attempt.has_lost_lease:
            raise AttemptStopped(StopReason.LEASE_LOST)

    @property
    def _has_unwritten(self) -> bool:
        """Whether to write now. After ``close``, as many deltas as fit into one write are left for the tail."""
        held_back = _MAX_DELTAS_PER_WRITE if self._closing.is_set() else 0
        return len(self._deltas) - self._written > held_back and not self._running_attempt.has_lost_lease

    @property
    def _has_content_started(self) -> bool:
        """Whether words have been written. A role or an item before them must not delay the first words."""
        return self._written > _MAX_PREAMBLE_DELTAS or any(
            delta.text or delta.data_delta for delta in self._deltas[: self._written]
        )

    async def _flush_until_drained(self) -> None:
        while self._has_unwritten:
            await self._write(min(len(self._deltas), self._written + _MAX_DELTAS_PER_WRITE))
            if not self._has_content_started:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._closing.wait()

    async def _write(self, up_to: int) -> None:
        tail = PendingEvents(self._log_length, _events(self._deltas[self._written : up_to]))
        length = await self._store.run(transitions.append(self._running_attempt.lease, tail, self.usage))
        if length is None:
            self._running_attempt.stop(StopReason.LEASE_LOST)
        else:
            self._log_length = length
            self._written = up_to


def _events(deltas: Iterable[Delta]) -> tuple[str, ...]:
    return tuple(_event(list(group)) for _, group in groupby(deltas, key=_group_key))


def _group_key(delta: Delta) -> str | int | None:
    """Consecutive texts become one event, as do consecutive deltas of one item. Other data becomes a separate event."""
    if delta.data is None:
        return None
    return delta.data_json if delta.data_delta else id(delta)


def _event(group: list[Delta]) -> str:
    text = "".join(delta.text for delta in group)
    if group[0].data is None:
        return transitions.delta_event(text)
    return transitions.upstream_event(group[0].data_json, text, "".join(delta.data_delta for delta in group))
