"""The native API's stream: each event of the log under its number, and `status` messages while the job is queued."""

from typing import Final

from api.schemas.responses import StreamStatus
from api.streaming.sse import frame
from jobs.events import Event
from jobs.models import JobRecord, JobView
from jobs.results import JobError

_RETRY: Final = b"retry: 1000\n\n"  # ms after which an EventSource reconnects


class NativeEncoder:
    """An event's sequence number is its id, which an EventSource sends back as Last-Event-ID. `status` has no id.

    A stream that fails or is shut down ends without a final event, so an EventSource reconnects by itself.
    """

    def __init__(self) -> None:
        self._status = b""
        self.shows_queue_position = True
        self.is_finished = False

    def start(self, record: JobRecord) -> bytes:
        return _RETRY + self.encode_record(record)

    def encode_record(self, record: JobRecord) -> bytes:
        """The status, if it differs from the last one sent."""
        status = frame(StreamStatus.of(record).model_dump_json(), event="status")
        if status == self._status:
            return b""
        self._status = status
        return status

    def encode(self, event: Event) -> bytes:
        if event.is_unreadable:
            return b""  # its number is missing in the stream; the answer can be fetched
        self.shows_queue_position = event.type == "attempt_incomplete"
        self.is_finished = event.is_final
        return frame(event.model_dump_json(exclude_none=True), event=event.type, event_id=event.sequence_number)

    def finish(self, _view: JobView) -> bytes:
        return b""  # the final event was the end

    def fail(self, _error: JobError) -> bytes:
        self.is_finished = True
        return b""

    def shutdown(self) -> bytes:
        self.is_finished = True
        return b""
