"""Server-sent events as an openai client reads them: told from the job's log, live or long after.

A stream always ends with a final event: the client takes one that is cut for one that is whole. When it cannot go on,
the last event says so, as far as its narration has words for it.
"""

import errno
import json
import logging
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Any, Final, Protocol

from flask import Response

from api.http.event_stream import KEEPALIVE, streamed, tick_seconds
from api.http.problems import whereabouts
from api.openai.first_words import first_words
from api.openai.snapshot import Seen, seen
from api.openai.submission import Accepted
from api.services import Services, services
from jobs import lookup
from jobs.errors import InternalError, JobNotFound, StoreUnavailable
from jobs.events import Event
from jobs.results import JobError
from jobs.watch.follow import follow

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.5  # between two tries to read the answer while Redis is away
_DELETED: Final = JobError(code=JobNotFound.code, message="it was deleted while it was followed")
_FAULT: Final = JobError(code=InternalError.code, message="an error of the server; it has been logged")


class Narration(Protocol):
    """What one reader is told, as bytes on the wire."""

    is_over: bool  # nothing more can be told

    def opening(self) -> bytes: ...
    def tell(self, event: Event) -> bytes: ...
    def ending(self, at_end: Seen) -> bytes: ...
    def broken_off(self, error: JobError) -> bytes: ...

    def stopped(self) -> bytes:
        """The server stops and the job goes on. May raise ServerStops."""
        ...


class ServerStops(ConnectionResetError):
    """Cuts the connection, which the client sees; gunicorn makes no ado about it."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the server stops")


def stream(accepted: Accepted, begin: Seen, narration: Narration) -> Response:
    """All that a reader is told, live, until the job's last event.

    Raises JobNotFound, StoreUnavailable and, for who waits for the answer, what ``first_words`` does; once it has
    begun, an outage is waited out.
    """
    here = services()
    is_running = not begin.record.state.is_final
    tick = tick_seconds(accepted.leave)
    batches = follow(here.store, here.listener, begin.record.job_id, -1, tick, is_running=is_running)
    with ExitStack() as unless_told:
        unless_told.callback(batches.close)
        first = first_words(accepted, batches) if accepted.is_waited else next(batches)
        unless_told.pop_all()
    return streamed(here, _Teller(here, accepted, begin, narration).tell_all(first, batches), accepted.leave)


def frame(data: dict[str, Any], name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


class _Teller:
    def __init__(self, here: Services, accepted: Accepted, begin: Seen, narration: Narration) -> None:
        self._here = here
        self._accepted = accepted
        self._begin = begin
        self._narration = narration

    def tell_all(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        is_answered = False
        for said in self._whole(first, batches):
            yield said
            if said and not is_answered:  # an openai client repeats no call of which it has the first byte
                is_answered = True
                self._accepted.answered()

    def _whole(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        with closing(batches):
            try:
                yield from self._told(first, batches)
            except Exception as error:  # noqa: BLE001  # whatever the log holds: a cut stream would pass for a whole one
                yield self._fault(error)
        if self._narration.is_over:
            return
        yield self._narration.stopped() if self._here.listener.is_closed else self._narration.broken_off(_DELETED)

    def _told(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        yield self._begin_with(first)
        for events in batches:
            yield self._tell(events)
            if self._narration.is_over:
                return

    def _begin_with(self, first: tuple[Event, ...]) -> bytes:
        """Says something, if more is to come: the headers leave with it, and have been held back for long enough."""
        said = self._narration.opening() + self._tell(first)
        return said if said or self._narration.is_over else KEEPALIVE

    def _tell(self, events: tuple[Event, ...]) -> bytes:
        return b"".join(map(self._tell_one, events))

    def _tell_one(self, event: Event) -> bytes:
        if self._narration.is_over:
            return b""
        try:
            return self._end() if event.is_final else self._narration.tell(event)
        except Exception as error:  # noqa: BLE001  # as above; what came before it is told
            return self._fault(error)

    def _end(self) -> bytes:
        at_end = self._read_end()
        return self._narration.broken_off(_DELETED) if at_end is None else self._narration.ending(at_end)

    def _fault(self, error: Exception) -> bytes:
        """Names the error's type and place alone: its text may hold the answer."""
        job_id, name = self._begin.record.job_id, type(error).__name__
        logger.error("stream_failed job_id=%s error=%s at=%s", job_id, name, whereabouts(error))
        return self._narration.broken_off(_FAULT)

    def _read_end(self) -> Seen | None:
        """None when the job has been deleted since."""
        while True:
            try:
                return seen(lookup.view(self._here.store, self._begin.record.job_id), self._begin.request)
            except JobNotFound:
                return None
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
