"""The stream of /v1/responses: a job's log as the events of a response."""

from typing import Final

from api.openai.encoding.response import pending_response, response_object
from api.openai.encoding.response_events import ResponseEventBuilder
from api.openai.snapshot import JobSnapshot, snapshot_of
from api.streaming.encoder import ServerShutdown
from api.streaming.sse import json_frame
from jobs.events import Event
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from openai_format.types import EventObject

_FROM_THE_START: Final = -1


class ResponseEncoder:
    """The events of a response whose sequence number is above ``after``.

    Their numbers are counted from the first event of the log, so a stream is always built from there.
    """

    shows_queue_position = False

    def __init__(self, snapshot: JobSnapshot, after: int | None = None) -> None:
        self._request = snapshot.request
        self._events = ResponseEventBuilder(snapshot.record.job_id, lambda state: pending_response(snapshot, state))
        self._after = _FROM_THE_START if after is None else after
        self.is_finished = False

    def start(self, _record: JobRecord) -> bytes:
        return self._encode_events(self._events.start())

    def encode_record(self, _record: JobRecord) -> bytes:
        return b""

    def encode(self, event: Event) -> bytes:
        if event.is_unreadable:
            raise event.error_of_damage()
        return b"" if event.is_final else self._encode_events(self._events.translate(event))

    def finish(self, view: JobView) -> bytes:
        self.is_finished = True
        snapshot = snapshot_of(view, self._request)
        if snapshot.lost_answer:
            return self._encode_events(self._events.fail(snapshot.lost_answer))
        return self._encode_events(self._events.finish(response_object(snapshot)))

    def fail(self, error: JobError) -> bytes:
        self.is_finished = True
        return self._encode_events(self._events.fail(error))

    def shutdown(self) -> bytes:
        """No event: it would take a sequence number, and the client could not resume after it."""
        raise ServerShutdown

    def _encode_events(self, events: list[EventObject]) -> bytes:
        return b"".join(
            json_frame(event, event=event["type"]) for event in events if event["sequence_number"] > self._after
        )
