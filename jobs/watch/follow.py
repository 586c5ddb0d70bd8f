"""Following a job's events: from any number on, during and after the run, until the last event.

The log in Redis is the truth; published messages only save reads of it. A gap, an outage or a slow reader costs a read
of the log and never an event.
"""

import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Final

from jobs import lookup, queries
from jobs.errors import JobNotFound, StoreUnavailable, no_such_job
from jobs.events import Event, EventBatch, last_event, read_events, replay
from jobs.tenant_store import TenantStore
from jobs.watch.listener import ChangeListener

RECHECK_SECONDS: Final = 15.0  # a follower that gets no message reads the log this often
PAGE_SIZE: Final = 500  # events per read, so that a long log is never in memory as a whole


def follow(
    store: TenantStore,
    listener: ChangeListener,
    job_id: str,
    after: int,
    tick_seconds: float | Callable[[], float],
    *,
    is_running: bool = False,
) -> Generator[tuple[Event, ...]]:
    """Events with numbers above ``after`` (-1: all) in batches; an empty batch at each tick without events.

    ``tick_seconds`` may be a function, which is called before each wait.

    Ends after the job's final event, or without it when the listener is closed or the job deleted. The generator waits
    through an outage of Redis; only its first step raises JobNotFound and StoreUnavailable. ``is_running``: the caller
    has just read that the job is not final; then the first batch is empty, which saves a read of the log.
    """
    reader = _LogReader(store, job_id, after + 1)
    yield () if is_running else reader.read_log()
    if reader.has_ended:
        return
    with listener.subscribed(job_id) as subscription:
        while not reader.has_ended and not listener.is_closed:
            seconds = tick_seconds() if callable(tick_seconds) else tick_seconds
            yield reader.process(None if reader.has_more else subscription.take(seconds))


class _LogReader:
    """Reads a log from a given number on. Never skips an event, never returns one twice."""

    def __init__(self, store: TenantStore, job_id: str, number: int) -> None:
        self._store = store
        self._job_id = job_id
        self._next = number
        self._log_read_at = 0.0
        self._is_gone = False  # deleted; its last message may still arrive
        self.has_more = False  # the last read did not reach the end of the log
        self.has_ended = False

    def process(self, messages: list[bytes] | None) -> tuple[Event, ...]:
        """The events of these messages, or of the log when messages are missing. During an outage: no events."""
        if self._is_gone and not messages:
            self.has_ended = True
        collected: list[Event] = []
        for message in messages or ():
            events = self._read_message(message)
            if events is None:
                messages = None
                break
            collected += events
        is_silent = messages == [] and time.monotonic() - self._log_read_at >= RECHECK_SECONDS
        if (messages is None or is_silent) and not self.has_ended:
            collected += self._read_log_or_nothing()
        return tuple(collected)

    def read_log(self) -> tuple[Event, ...]:
        """The next page of the log, or of the replay. Raises JobNotFound, StoreUnavailable."""
        record, values = self._store.read_job(self._job_id, partial(queries.events, first=self._next, limit=PAGE_SIZE))
        if record is None:
            raise no_such_job("job_id")
        (lines,) = values
        self._log_read_at = time.monotonic()
        self.has_more = len(lines) == PAGE_SIZE
        if not lines and record.is_final:
            self.has_ended = True
            return replay(lookup.view(self._store, self._job_id), self._next - 1)
        events = self._advance(read_events(lines, self._next), len(lines))
        if record.is_final and not self.has_more and not self.has_ended:  # the last entry cannot be read
            self.has_ended = True
            events += last_event(lookup.view(self._store, self._job_id), self._next - 2)
        return events

    def _read_message(self, message: bytes) -> tuple[Event, ...] | None:
        """The events of a message on the job's channel. None if the log must be read."""
        batch = EventBatch.from_message(message)
        lines = batch.lines_from(self._next) if batch else None
        if batch is None or lines is None:
            return None
        events = read_events(lines, self._next)
        is_end_unreadable = batch.is_last and not (events and events[-1].is_final)
        return None if is_end_unreadable else self._advance(events, len(lines))

    def _read_log_or_nothing(self) -> tuple[Event, ...]:
        try:
            return self.read_log()
        except StoreUnavailable:
            self.has_more = False
            self._log_read_at = 0.0  # read again at the next tick
            return ()
        except JobNotFound:
            self._is_gone = True
            return ()

    def _advance(self, events: tuple[Event, ...], entries: int) -> tuple[Event, ...]:
        """``entries``: how many entries of the log were read; those that are unreadable gave no event."""
        self._next += entries
        self.has_ended = self.has_ended or any(event.is_final for event in events)
        return events
