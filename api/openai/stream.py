"""Server-sent events as an openai client reads them: told from the job's log, live or long after.

A stream always ends with a final event: the client takes one that is cut for one that is whole. When it cannot go on,
the last event says so, as far as its encoder has words for it.
"""

import errno
import json
import logging
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Any, Final, Protocol

from flask import Response

from api.http.event_stream import KEEPALIVE, stream_response, tick_seconds
from api.http.problems import traceback_location
from api.openai.first_words import wait_for_first_output
from api.openai.snapshot import JobSnapshot, snapshot_of
from api.openai.submission import Submission
from api.services import Services, services
from jobs import lookup
from jobs.errors import InternalError, JobNotFound, StoreUnavailable
from jobs.events import Event
from jobs.results import JobError
from jobs.watch.follow import follow

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.5  # between two tries to read the answer while Redis is away
_DELETED: Final = JobError(code=JobNotFound.code, message="it was deleted while it was followed")
_INTERNAL_ERROR: Final = JobError(code=InternalError.code, message="an error of the server; it has been logged")


class EventEncoder(Protocol):
    """What one reader is told, as bytes on the wire."""

    is_finished: bool  # nothing more can be told

    def start(self) -> bytes: ...
    def encode(self, event: Event) -> bytes: ...
    def finish(self, final_snapshot: JobSnapshot) -> bytes: ...
    def fail(self, error: JobError) -> bytes: ...

    def shutdown(self) -> bytes:
        """The server stops and the job goes on. May raise ServerShutdown."""
        ...


class ServerShutdown(ConnectionResetError):
    """Cuts the connection, which the client sees; gunicorn makes no ado about it."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the server stops")


def stream_events(submission: Submission, snapshot: JobSnapshot, encoder: EventEncoder) -> Response:
    """All that a reader is told, live, until the job's last event.

    Raises JobNotFound, StoreUnavailable and, for who waits for the answer, what ``wait_for_first_output`` does; once
    it has
    begun, an outage is waited out.
    """
    app_services = services()
    is_running = not snapshot.record.state.is_final
    tick = tick_seconds(submission.on_disconnect)
    batches = follow(app_services.store, app_services.listener, snapshot.record.job_id, -1, tick, is_running=is_running)
    with ExitStack() as cleanup:
        cleanup.callback(batches.close)
        first = wait_for_first_output(submission, batches) if submission.is_foreground else next(batches)
        cleanup.pop_all()
    return stream_response(
        app_services,
        _StreamWriter(app_services, submission, snapshot, encoder).chunks(first, batches),
        submission.on_disconnect,
    )


def frame(data: dict[str, Any], name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


class _StreamWriter:
    def __init__(
        self, app_services: Services, submission: Submission, snapshot: JobSnapshot, encoder: EventEncoder
    ) -> None:
        self._app_services = app_services
        self._submission = submission
        self._snapshot = snapshot
        self._encoder = encoder

    def chunks(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        is_answered = False
        for chunk in self._guarded_chunks(first, batches):
            yield chunk
            if chunk and not is_answered:  # an openai client repeats no call of which it has the first byte
                is_answered = True
                self._submission.mark_answered()

    def _guarded_chunks(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        with closing(batches):
            try:
                yield from self._encode_batches(first, batches)
            except Exception as error:  # noqa: BLE001  # whatever the log holds: a cut stream would pass for a whole one
                yield self._fail(error)
        if self._encoder.is_finished:
            return
        yield self._encoder.shutdown() if self._app_services.listener.is_closed else self._encoder.fail(_DELETED)

    def _encode_batches(self, first: tuple[Event, ...], batches: Generator[tuple[Event, ...]]) -> Generator[bytes]:
        yield self._first_chunk(first)
        for events in batches:
            yield self._encode_batch(events)
            if self._encoder.is_finished:
                return

    def _first_chunk(self, first: tuple[Event, ...]) -> bytes:
        """Says something, if more is to come: the headers leave with it, and have been held back for long enough."""
        chunk = self._encoder.start() + self._encode_batch(first)
        return chunk if chunk or self._encoder.is_finished else KEEPALIVE

    def _encode_batch(self, events: tuple[Event, ...]) -> bytes:
        return b"".join(map(self._encode_event, events))

    def _encode_event(self, event: Event) -> bytes:
        if self._encoder.is_finished:
            return b""
        try:
            return self._encode_final() if event.is_final else self._encoder.encode(event)
        except Exception as error:  # noqa: BLE001  # as above; what came before it is told
            return self._fail(error)

    def _encode_final(self) -> bytes:
        final_snapshot = self._read_final_snapshot()
        return self._encoder.fail(_DELETED) if final_snapshot is None else self._encoder.finish(final_snapshot)

    def _fail(self, error: Exception) -> bytes:
        """Names the error's type and place alone: its text may hold the answer."""
        job_id, name = self._snapshot.record.job_id, type(error).__name__
        logger.error("stream_failed job_id=%s error=%s at=%s", job_id, name, traceback_location(error))
        return self._encoder.fail(_INTERNAL_ERROR)

    def _read_final_snapshot(self) -> JobSnapshot | None:
        """None when the job has been deleted since."""
        while True:
            try:
                return snapshot_of(
                    lookup.view(self._app_services.store, self._snapshot.record.job_id), self._snapshot.request
                )
            except JobNotFound:
                return None
            except StoreUnavailable:
                time.sleep(RETRY_SECONDS)
