"""The interface between the engine and its encoders. Encoders are pure: no Flask, no store, no clock."""

import errno
import json
from typing import Any, Protocol

from jobs.events import Event
from jobs.models import JobRecord, JobView
from jobs.results import JobError


class EventEncoder(Protocol):
    """Turns the events of one job into the bytes that one reader receives."""

    @property
    def is_finished(self) -> bool:
        """True once the last bytes of the stream have been encoded."""
        ...

    @property
    def shows_queue_position(self) -> bool:
        """True while ``encode_record`` is to be called whenever the job's queue position may have changed."""
        ...

    def start(self, record: JobRecord) -> bytes: ...
    def encode_record(self, record: JobRecord) -> bytes: ...
    def encode(self, event: Event) -> bytes: ...

    def finish(self, view: JobView) -> bytes:
        """The end of the stream. Called after the final event, unless ``encode`` has finished the stream with it."""
        ...

    def fail(self, error: JobError) -> bytes:
        """The end of a stream that cannot continue."""
        ...

    def shutdown(self) -> bytes:
        """The end of the stream on this server, while the job continues. May raise ServerShutdown."""
        ...


class ServerShutdown(ConnectionResetError):
    """Cuts the connection, which the client notices. gunicorn ignores this error."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the server is shutting down")


def frame(data: str, *, event: str | None = None, event_id: int | None = None) -> bytes:
    """One message of text/event-stream. ``data`` must be one line."""
    head = "" if event_id is None else f"id: {event_id}\n"
    head += f"event: {event}\n" if event else ""
    return f"{head}data: {data}\n\n".encode()


def json_frame(data: dict[str, Any], *, event: str | None = None) -> bytes:
    return frame(json.dumps(data, ensure_ascii=False, separators=(",", ":")), event=event)
