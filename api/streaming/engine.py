"""Streams one job to one reader, with any encoder: follows the job, keeps the connection alive, ends the stream.

    the job's event log ── follow ──> batches of events ── encoder ──> bytes ── keep-alive, disconnect ──> the client

The engine owns everything that needs the store, the clock or the connection: outages, deleted jobs, faults in the log,
the shutdown of the server, and holding a stream back until there is output.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Final

from flask import Response

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.http.problems import traceback_location
from api.services import services
from api.streaming.encoder import EventEncoder
from api.streaming.sse import CONTENT_TYPE, KEEPALIVE
from jobs import lookup
from jobs.errors import Forbidden, InternalError, InvalidKey, JobNotFound, StoreUnavailable
from jobs.events import Event
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from jobs.states import State
from jobs.watch.follow import follow

logger = logging.getLogger(__name__)

FROM_THE_START: Final = -1
KEEPALIVE_SECONDS: Final = 15.0  # of silence, then a comment: proxies close a connection that is silent for longer
MAX_HOLD_SECONDS: Final = KEEPALIVE_SECONDS  # a stream that is held back cannot send a comment
_MIN_TICK_SECONDS: Final = 0.01
TICK_SECONDS: Final = 5.0  # between two reads of the queue position
DISCONNECT_CHECK_SECONDS: Final = 1.0  # between two checks of the connection and of the API key, where they matter
RETRY_SECONDS: Final = 0.5  # between two tries to read the answer while Redis is unavailable
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter keeps nginx from buffering
_OUTPUT_TYPES: Final = frozenset({"delta", "upstream"})
_DELETED: Final = JobError(code=JobNotFound.code, message="the job was deleted while its stream was open")
_DISCONNECTED: Final = JobError(
    code=ClientDisconnected.code, message="the client has closed its side of the connection, which ends its stream"
)
_UNKNOWN_END: Final = JobError(
    code="state_unknown", message="the job has ended in a state that this server does not know"
)
_INTERNAL_ERROR: Final = JobError(code=InternalError.code, message="internal server error; it has been logged")


class JobStream:
    """One reader's stream of a job's events with numbers above ``after``.

    Call ``first_events`` or ``hold_until_output`` first, then ``respond`` or ``close``. After the first call, it waits
    through outages of Redis. ``on_disconnect`` is called when the client disconnects before the end, ``on_first_bytes``
    once the first bytes have been sent, and ``on_end`` before the last ones.
    """

    def __init__(
        self,
        record: JobRecord,
        encoder: EventEncoder,
        *,
        after: int = FROM_THE_START,
        on_disconnect: Callable[[], None] | None = None,
        on_first_bytes: Callable[[], None] | None = None,
        on_end: Callable[[], None] | None = None,
    ) -> None:
        self._services = services()
        self._record = record
        self._encoder = encoder
        self._on_disconnect = on_disconnect
        self._on_first_bytes = on_first_bytes
        self._on_end = on_end
        self._check_disconnect = disconnect_check()
        self._held_until: float | None = None
        self._batches = follow(
            self._services.store,
            self._services.listener,
            record.job_id,
            after,
            self._tick_seconds,
            is_running=not record.is_final,
        )
        self._first_events: tuple[Event, ...] = ()
        self._status_read_at = time.monotonic()

    @property
    def is_shutting_down(self) -> bool:
        return self._services.listener.is_closed

    def first_events(self) -> tuple[Event, ...]:
        """The events so far; none for a job that is not final. Raises JobNotFound and StoreUnavailable."""
        self._first_events = next(self._batches)
        return self._first_events

    def _tick_seconds(self) -> float:
        """The longest wait for the next events."""
        is_checked_often = self._on_disconnect or self._services.needs_key
        tick = DISCONNECT_CHECK_SECONDS if is_checked_often else TICK_SECONDS
        if self._held_until is None:
            return tick
        return min(tick, max(_MIN_TICK_SECONDS, self._held_until - time.monotonic()))

    def hold_until_output(self, on_disconnect: Callable[[], None] | None, seconds: float) -> tuple[Event, ...]:
        """The events up to the first output, the end of the job, or this time.

        Raises ClientDisconnected after calling ``on_disconnect``, JobNotFound, StoreUnavailable, and InvalidKey or
        Forbidden once the caller's API key has ended.
        """
        self._held_until = time.monotonic() + seconds
        for events in self._batches:
            self._first_events += events
            if has_output(events) or time.monotonic() >= self._held_until:
                break
            self._services.require_valid_key()
            try:
                self._check_disconnect()
            except ClientDisconnected:
                if on_disconnect is not None:
                    on_disconnect()
                raise
        self._held_until = None
        return self._first_events

    def close(self) -> None:
        """Stop following the job without a response."""
        self._batches.close()

    def respond(self, headers: dict[str, str] | None = None) -> Response:
        return Response(self._frames(), content_type=CONTENT_TYPE, headers=_HEADERS | (headers or {}))

    def _frames(self) -> Iterator[bytes]:
        """The chunks, and a comment after each KEEPALIVE_SECONDS of silence.

        A shutdown of the server is not a disconnect: its readers reconnect to another server.
        """
        last_sent_at, on_first_bytes = time.monotonic(), self._on_first_bytes
        with closing(self._batches), closing(self._chunks()) as chunks:
            try:
                for chunk in chunks:
                    self._check_disconnect()
                    now = time.monotonic()
                    if frames := chunk or (KEEPALIVE if now - last_sent_at >= KEEPALIVE_SECONDS else b""):
                        last_sent_at = now
                        yield frames
                        if on_first_bytes is not None:
                            on_first_bytes()
                            on_first_bytes = None
            except GeneratorExit:
                self._handle_disconnect()
            except ClientDisconnected:
                self._handle_disconnect()
                # The client may still read: a stream that is cut must not look complete.
                yield chunk if self._encoder.is_finished else self._encoder.fail(_DISCONNECTED)

    def _handle_disconnect(self) -> None:
        if self._on_disconnect is not None and not self.is_shutting_down:
            self._on_disconnect()

    def _chunks(self) -> Generator[bytes]:
        """One chunk for each batch, empty when there is nothing to send. The last one ends the stream."""
        try:
            yield self._first_chunk()
            while not self._encoder.is_finished and (events := next(self._batches, None)) is not None:
                self._services.require_valid_key()
                yield self._encode_batch(events) if events else self._refreshed_status()
        except (InvalidKey, Forbidden) as error:  # the job goes on: it belongs to the tenant
            yield self._encoder.fail(JobError(code=error.code, message=error.message))
        except Exception as error:  # noqa: BLE001  # any fault: a client takes a cut stream for complete
            yield self._fail(error)
        if not self._encoder.is_finished:
            yield self._encoder.shutdown() if self.is_shutting_down else self._encoder.fail(self._missing_end())

    def _missing_end(self) -> JobError:
        """Why the events have ended without a final one."""
        return _DELETED if self._final_view() is None else _UNKNOWN_END

    def _first_chunk(self) -> bytes:
        """Empty only at the end: the server sends the headers with the first bytes, which may have been held back."""
        chunk = self._encoder.start(self._record) + self._encode_batch(self._first_events)
        return chunk if chunk or self._encoder.is_finished else KEEPALIVE

    def _encode_batch(self, events: tuple[Event, ...]) -> bytes:
        return b"".join(map(self._encode_event, events))

    def _encode_event(self, event: Event) -> bytes:
        if self._encoder.is_finished:
            return b""
        try:
            chunk = self._encoder.encode(event)
            return chunk if self._encoder.is_finished or not event.is_final else chunk + self._finish()
        except Exception as error:  # noqa: BLE001  # as above; the events before this one are still sent
            return self._fail(error)

    def _finish(self) -> bytes:
        view = self._final_view()
        if view is None:
            return self._encoder.fail(_DELETED)
        last = self._encoder.finish(view)
        if self._on_end is not None:
            self._on_end()
        return last

    def _fail(self, error: Exception) -> bytes:
        """Logs only the type and place of the error: its message may contain part of the answer."""
        job_id, name = self._record.job_id, type(error).__name__
        logger.error("stream_failed job_id=%s error=%s at=%s", job_id, name, traceback_location(error))
        return self._encoder.fail(_INTERNAL_ERROR)

    def _final_view(self) -> JobView | None:
        """The job with its answer; None if it was deleted after its final event. Waits through outages of Redis."""
        while True:
            try:
                return lookup.view(self._services.store, self._record.job_id)
            except JobNotFound:
                return None
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)

    def _refreshed_status(self) -> bytes:
        """The job's status, read again every TICK_SECONDS for an encoder that shows the queue position."""
        now = time.monotonic()
        if not self._encoder.shows_queue_position or now - self._status_read_at < TICK_SECONDS:
            return b""
        self._status_read_at = now
        try:
            record = lookup.record(self._services.store, self._record.job_id)
        except (JobNotFound, StoreUnavailable):
            return b""
        return self._encoder.encode_record(record) if record.state is State.QUEUED else b""  # else its events follow


def has_output(events: tuple[Event, ...]) -> bool:
    """True if any of the events carries part of an answer."""
    return any(event.type in _OUTPUT_TYPES for event in events)
