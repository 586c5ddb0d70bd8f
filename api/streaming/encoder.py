"""The interface between the engine and its encoders. Encoders are pure: no Flask, no store, no clock."""

import errno
from typing import Protocol

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
