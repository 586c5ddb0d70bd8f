"""Following a job's events: from any number on, while it runs and after, until the last one.

The log in Redis is the truth. What is announced only saves reading it: a gap, an outage or a slow reader costs a look
at the log, and no event.
"""

import time
from collections.abc import Generator
from typing import Any, Final

from jobs import lookup, queries
from jobs.errors import JobNotFound, StoreUnavailable, no_such_job
from jobs.events import Event, EventBatch, read_events, replay
from jobs.models import is_job_id
from jobs.storage.commands import Command
from jobs.storage.store import Store
from jobs.watch.listener import ChangeListener

RECHECK_SECONDS: Final = 15.0  # a follower that hears nothing looks at the log this often
PAGE_SIZE: Final = 500  # events read at once: a reader of a long log holds no more in memory


def follow(
    store: Store,
    listener: ChangeListener,
    job_id: str,
    after: int,
    tick_seconds: float,
    *,
    is_running: bool = False,
) -> Generator[tuple[Event, ...]]:
    """Events with numbers above ``after`` (-1: all) in batches, an empty one at each tick without any.

    Ends after the job's final event, or without it when the listener is closed or the job deleted. An outage of Redis
    is waited out; only the first step raises JobNotFound and StoreUnavailable. ``is_running``: the caller has seen it
    so; then the first batch is empty and the log is looked at once, not twice.
    """
    reader = _LogReader(store, job_id, after + 1)
    yield () if is_running else reader.read_log()
    if reader.has_ended:
        return
    with listener.subscribed(job_id) as subscription:
        while not reader.has_ended and not listener.is_closed:
            yield reader.process(None if reader.has_more else subscription.take(tick_seconds))


class _LogReader:
    """Reads on from a number; never skips an event, and gives none twice."""

    def __init__(self, store: Store, job_id: str, number: int) -> None:
        if not is_job_id(job_id):
            raise no_such_job("job_id")
        self._store = store
        self._job_id = job_id
        self._next = number
        self._log_read_at = 0.0
        self._is_gone = False  # deleted; its last words may still be on their way
        self.has_more = False  # the last look did not reach the end of the log
        self.has_ended = False

    def process(self, messages: list[bytes] | None) -> tuple[Event, ...]:
        """What these announcements tell, or the log where they do not tell all; waits out an outage."""
        if self._is_gone and not messages:
            self.has_ended = True
        collected: list[Event] = []
        for message in messages or ():
            events = EventBatch.from_message(message).events_from(self._next)
            if events is None:
                messages = None
                break
            collected += self._advance(events)
        is_silent = messages == [] and time.monotonic() - self._log_read_at >= RECHECK_SECONDS
        if (messages is None or is_silent) and not self.has_ended:
            collected += self._read_log_or_nothing()
        return tuple(collected)

    def read_log(self) -> tuple[Event, ...]:
        """Raises JobNotFound, StoreUnavailable."""
        commands: list[Command[Any]] = [
            queries.record(self._job_id),
            queries.events(self._job_id, self._next, PAGE_SIZE),
        ]
        record, lines = self._store.run_all(commands)
        if record is None:
            raise no_such_job("job_id")
        self._log_read_at = time.monotonic()
        self.has_more = len(lines) == PAGE_SIZE
        if lines or not record.state.is_final:
            return self._advance(read_events(lines, self._next))
        self.has_ended = True
        return replay(lookup.view(self._store, self._job_id), self._next - 1)

    def _read_log_or_nothing(self) -> tuple[Event, ...]:
        try:
            return self.read_log()
        except StoreUnavailable:
            self.has_more = False
            self._log_read_at = 0.0  # again at the next tick
            return ()
        except JobNotFound:
            self._is_gone = True
            return ()

    def _advance(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        self._next += len(events)
        self.has_ended = self.has_ended or any(event.is_final for event in events)
        return events
