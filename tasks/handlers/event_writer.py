"""Writes an attempt's deltas to the job's event log: the first words immediately, then one batch for each interval.

The deltas not yet written when the answer ends are its tail, which is written together with the attempt's end.

A failover, or a crash of Redis' host, may lose the last events of the log. They are written again, each with the number
and the text that it had: a follower that has read them continues after them.
"""

import asyncio
import contextlib
from collections.abc import Iterable
from itertools import chain, groupby, pairwise
from typing import Final, NamedTuple

from jobs.models import Progress
from jobs.results import Usage
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.transitions import Behind, PendingEvents
from tasks.heartbeat import AttemptStopped, RunningAttempt, StopReason
from tasks.provider.formats.delta import Delta

_MAX_DELTAS_PER_WRITE: Final = 500  # deltas in one write: a script takes some thousand arguments
_MAX_PREAMBLE_DELTAS: Final = 8  # deltas before the first words that are written immediately, each on its own


class _Mark(NamedTuple):
    """The length of the log after a write, and the number of deltas in it."""

    log_length: int
    deltas: int


class EventWriter:
    """The event log of one attempt. ``text`` is the answer so far, written or not; ``usage`` may be an estimate."""

    def __init__(self, running_attempt: RunningAttempt, store: AsyncStore, interval_seconds: float) -> None:
        self._running_attempt = running_attempt
        self._store = store
        self._interval_seconds = interval_seconds
        self.input_chars = 0  # length of the prompt, for the estimate of usage
        self.other_usage: Usage | None = None  # of calls besides the job's own, whose results the answer contains
        self.progress: Progress | None = None
        self._deltas: list[Delta] = []
        self._output_deltas = 0  # those of the model, for the estimate of usage
        self._marks = [_Mark(running_attempt.lease.log_length, 0)]
        self._mark = 0  # index of the present one; later ones are writes that Redis has lost
        self._has_tail = True
        self._flusher: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._reported_usage: Usage | None = None

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self._deltas)

    @property
    def usage(self) -> Usage:
        own = self._reported_usage or Usage.estimate(self.input_chars, self._output_deltas)
        return self.other_usage + own if self.other_usage else own

    @property
    def tail(self) -> PendingEvents | None:
        """The events not yet written when the writer is closed."""
        if not self._has_tail:
            return None
        ends = [*(mark.deltas for mark in self._marks[self._mark :]), len(self._deltas)]
        events = (_events(self._deltas[start:end]) for start, end in pairwise(ends))
        return PendingEvents(self._marks[self._mark].log_length, tuple(chain.from_iterable(events)))

    def drop_tail(self) -> None:
        """Leave the events not yet written out, because they cannot be written."""
        self._has_tail = False

    def add(self, delta: Delta) -> None:
        """Queue a delta. Its content is written to the log within about one interval."""
        self._reported_usage = delta.usage or self._reported_usage
        if not delta.text and delta.data is None and not delta.event:
            return
        self._deltas.append(delta)
        self._output_deltas += not delta.event
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush_until_drained())

    async def close(self) -> None:
        """Wait for a write in progress. Raises AttemptStopped if a write was refused."""
        self._closing.set()
        if self._flusher is not None:
            await self._flusher
        if self._running_attempt.has_lost_lease:
            raise AttemptStopped(StopReason.LEASE_LOST)

    async def rewrite(self, log_length: int) -> None:
        """Write again what Redis has lost after this length of the log, except for what fits into the tail."""
        self._rewind(log_length)
        await self._flush_until_drained()

    @property
    def _has_lost_writes(self) -> bool:
        return self._mark + 1 < len(self._marks)

    @property
    def _written(self) -> int:
        return self._marks[self._mark].deltas

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
            await self._write()
            if not self._has_content_started or self._has_lost_writes:
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._interval_seconds):
                    await self._closing.wait()

    async def _write(self) -> None:
        """Write the next deltas. A write that Redis has lost is repeated with the same deltas as before."""
        mark = self._marks[self._mark]
        is_lost_write = self._has_lost_writes
        up_to = min(len(self._deltas), mark.deltas + _MAX_DELTAS_PER_WRITE)
        if is_lost_write:
            up_to = self._marks[self._mark + 1].deltas
        pending = PendingEvents(mark.log_length, _events(self._deltas[mark.deltas : up_to]))
        match await self._store.run(
            transitions.append(self._running_attempt.lease, pending, self.usage, self.progress)
        ):
            case None:
                self._running_attempt.stop(StopReason.LEASE_LOST)
            case Behind(log_length):
                self._rewind(log_length)
            case int(log_length):
                if not is_lost_write:
                    self._marks.append(_Mark(log_length, up_to))
                self._mark += 1

    def _rewind(self, log_length: int) -> None:
        """Go back to the last write that is in a log of this length."""
        while self._mark > 0 and self._marks[self._mark].log_length > log_length:
            self._mark -= 1
        if self._marks[self._mark].log_length > log_length:  # not even the claim's own event is there
            self._running_attempt.stop(StopReason.LEASE_LOST)


def _events(deltas: Iterable[Delta]) -> tuple[str, ...]:
    return tuple(_event(list(group)) for _, group in groupby(deltas, key=_group_key))


def _group_key(delta: Delta) -> str | int | None:
    """Consecutive texts become one event, as do consecutive deltas of one item. Other data becomes a separate event."""
    if delta.event:
        return id(delta)
    if delta.data is None:
        return None
    return delta.data_json if delta.data_delta else id(delta)


def _event(group: list[Delta]) -> str:
    if group[0].event:
        return group[0].event
    text = "".join(delta.text for delta in group)
    if group[0].data is None:
        return transitions.delta_event(text)
    return transitions.upstream_event(group[0].data_json, text, "".join(delta.data_delta for delta in group))
