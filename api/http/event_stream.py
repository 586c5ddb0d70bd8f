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

from api.http.disconnect import ClientDisconnected, disconnect_check
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
DISCONNECT_CHECK_SECONDS: Final = 1.0  # between two looks for a client whose leaving has consequences
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx would hold it back
_RETRY: Final = b"retry: 1000\n\n"  # ms after which an EventSource comes back
KEEPALIVE: Final = b": keepalive\n\n"


def event_stream(
    record: JobRecord,
    after: int,
    headers: dict[str, str] | None = None,
    on_disconnect: Callable[[], None] | None = None,
) -> Response:
    """All events after that number (-1: all), live, until the job's last one.

    ``on_disconnect`` is called when the client leaves before that. 204 when it has seen the last one: it tells an
    EventSource not to come back. Raises JobNotFound and StoreUnavailable; once it has begun, an outage is waited out.
    """
    app_services = services()
    is_running = not record.state.is_final
    batches = follow(
        app_services.store,
        app_services.listener,
        record.job_id,
        after,
        tick_seconds(on_disconnect),
        is_running=is_running,
    )
    first = next(batches)  # while an error can still be answered as one
    if not (first or is_running):
        return Response(status=HTTPStatus.NO_CONTENT)
    chunks = _NativeStreamWriter(app_services, record).chunks(first, batches)
    return stream_response(app_services, chunks, on_disconnect, headers)


def tick_seconds(on_disconnect: Callable[[], None] | None) -> float:
    """How often there is something to see to in a stream that is silent."""
    return DISCONNECT_CHECK_SECONDS if on_disconnect else TICK_SECONDS


def stream_response(
    app_services: Services,
    chunks: Generator[bytes],
    on_disconnect: Callable[[], None] | None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The answer that a stream is: what is told, an item at each tick, empty when there is nothing to tell."""
    frames = _until_disconnect(app_services, chunks, disconnect_check(), on_disconnect)
    return Response(frames, content_type=CONTENT_TYPE, headers=_HEADERS | (headers or {}))


def frame(event: Event) -> bytes:
    """One event on the wire; its number is its id, which an EventSource sends back as Last-Event-ID."""
    number = "" if event.sequence_number is None else f"id: {event.sequence_number}\n"
    return f"{number}event: {event.type}\ndata: {event.model_dump_json(exclude_none=True)}\n\n".encode()


class _NativeStreamWriter:
    """Words what one reader is told."""

    def __init__(self, app_services: Services, record: JobRecord) -> None:
        self._app_services = app_services
        self._job_id = record.job_id
        self._status = _status_frame(record)
        self._is_queued = True
        self._status_checked_at = time.monotonic()

    def chunks(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        with closing(batches):
            yield _RETRY + self._status + self._encode_batch(first)
            for events in batches:
                yield self._encode_batch(events)

    def _encode_batch(self, events: tuple[Event, ...]) -> bytes:
        now = time.monotonic()
        if events:
            self._is_queued = events[-1].type == "attempt_incomplete"
        elif self._is_queued and now - self._status_checked_at >= TICK_SECONDS:
            self._status_checked_at = now
            return self._changed_status()
        return b"".join(map(frame, events))

    def _changed_status(self) -> bytes:
        try:
            status = _status_frame(lookup.record(self._app_services.store, self._job_id))
        except (JobNotFound, StoreUnavailable):
            return b""
        if status == self._status:
            return b""
        self._status = status
        return status


def _until_disconnect(
    app_services: Services,
    chunks: Generator[bytes],
    check_disconnect: Callable[[], None],
    on_disconnect: Callable[[], None] | None,
) -> Iterator[bytes]:
    """Keeps the stream alive while it is silent. A server that stops leaves too: its readers come back to another."""
    last_sent_at = time.monotonic()
    with closing(chunks):
        try:
            for chunk in chunks:
                check_disconnect()
                now = time.monotonic()
                if frames := chunk or (KEEPALIVE if now - last_sent_at >= KEEPALIVE_SECONDS else b""):
                    last_sent_at = now
                    yield frames
        except (GeneratorExit, ClientDisconnected):
            if on_disconnect is not None and not app_services.listener.is_closed:
                on_disconnect()


def _status_frame(record: JobRecord) -> bytes:
    return f"event: status\ndata: {StreamStatus.of(record).model_dump_json()}\n\n".encode()
