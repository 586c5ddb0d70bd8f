"""A job's events as server-sent events (text/event-stream, as the HTML standard has it).

Events of the log have an id, by which a reader resumes. Besides, without one: `status`, at the beginning and when the
place in line has changed, and comments, so that nobody takes a silent stream for a dead one.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from http import HTTPStatus
from typing import Final

from flask import Response

from api.http.disconnect import ClientLeft, presence_check
from api.schemas.responses import StreamStatus
from api.services import Services, services
from jobs import lookup
from jobs.errors import JobNotFound, StoreUnavailable
from jobs.events import Event
from jobs.models import JobRecord
from jobs.watch.follow import follow

CONTENT_TYPE: Final = "text/event-stream"
KEEPALIVE_SECONDS: Final = 15.0  # of silence, then a comment: proxies close what is silent for longer
TICK_SECONDS: Final = 5.0  # between two looks at the place in line
PRESENCE_SECONDS: Final = 1.0  # between two looks for a client whose leaving has consequences
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx would hold it back
_RETRY: Final = b"retry: 1000\n\n"  # ms after which an EventSource comes back
KEEPALIVE: Final = b": keepalive\n\n"


def event_stream(
    record: JobRecord, after: int, headers: dict[str, str] | None = None, on_leave: Callable[[], None] | None = None
) -> Response:
    """All events after that number (-1: all), live, until the job's last one.

    ``on_leave`` is called when the client leaves before that. 204 when it has seen the last one: it tells an
    EventSource not to come back. Raises JobNotFound and StoreUnavailable; once it has begun, an outage is waited out.
    """
    here = services()
    is_running = not record.state.is_final
    batches = follow(here.store, here.listener, record.job_id, after, tick_seconds(on_leave), is_running=is_running)
    first = next(batches)  # while an error can still be answered as one
    if not (first or is_running):
        return Response(status=HTTPStatus.NO_CONTENT)
    told = _Narrator(here, record).tell_all(first, batches)
    return streamed(here, told, on_leave, headers)


def tick_seconds(on_leave: Callable[[], None] | None) -> float:
    """How often there is something to see to in a stream that is silent."""
    return PRESENCE_SECONDS if on_leave else TICK_SECONDS


def streamed(
    here: Services,
    told: Generator[bytes],
    on_leave: Callable[[], None] | None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The answer that a stream is: what is told, an item at each tick, empty when there is nothing to tell."""
    frames = _until_left(here, told, presence_check(), on_leave)
    return Response(frames, content_type=CONTENT_TYPE, headers=_HEADERS | (headers or {}))


def frame(event: Event) -> bytes:
    """One event on the wire; its number is its id, which an EventSource sends back as Last-Event-ID."""
    number = "" if event.sequence_number is None else f"id: {event.sequence_number}\n"
    return f"{number}event: {event.type}\ndata: {event.model_dump_json(exclude_none=True)}\n\n".encode()


class _Narrator:
    """Words what one reader is told."""

    def __init__(self, here: Services, record: JobRecord) -> None:
        self._here = here
        self._job_id = record.job_id
        self._status = _status_frame(record)
        self._is_in_line = True
        self._looked_at = time.monotonic()

    def tell_all(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        with closing(batches):
            yield _RETRY + self._status + self._say(first)
            for events in batches:
                yield self._say(events)

    def _say(self, events: tuple[Event, ...]) -> bytes:
        now = time.monotonic()
        if events:
            self._is_in_line = events[-1].type == "attempt_incomplete"
        elif self._is_in_line and now - self._looked_at >= TICK_SECONDS:
            self._looked_at = now
            return self._changed_status()
        return b"".join(map(frame, events))

    def _changed_status(self) -> bytes:
        try:
            status = _status_frame(lookup.record(self._here.store, self._job_id))
        except (JobNotFound, StoreUnavailable):
            return b""
        if status == self._status:
            return b""
        self._status = status
        return status


def _until_left(
    here: Services, told: Generator[bytes], check_presence: Callable[[], None], on_leave: Callable[[], None] | None
) -> Iterator[bytes]:
    """Keeps the stream alive while it is silent. A server that stops leaves too: its readers come back to another."""
    spoke_at = time.monotonic()
    with closing(told):
        try:
            for said in told:
                check_presence()
                now = time.monotonic()
                if frames := said or (KEEPALIVE if now - spoke_at >= KEEPALIVE_SECONDS else b""):
                    spoke_at = now
                    yield frames
        except (GeneratorExit, ClientLeft):
            if on_leave is not None and not here.listener.is_closed:
                on_leave()


def _status_frame(record: JobRecord) -> bytes:
    return f"event: status\ndata: {StreamStatus.of(record).model_dump_json()}\n\n".encode()
