"""The stream of /v1/responses: a job's log as the events of a response."""

from typing import Final

from api.openai.encoding.items import stream_options
from api.openai.encoding.response import pending_response, response_object
from api.openai.encoding.response_events import ResponseEventBuilder, is_restart
from api.openai.snapshot import JobSnapshot, snapshot_of
from api.streaming.encoder import ServerShutdown
from api.streaming.sse import json_frame
from jobs.events import Event
from jobs.kinds.response import ResponseTask
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from openai_format.types import EventObject, JsonObject

_FROM_THE_START: Final = -1


class ResponseEncoder:
    """The events of a response whose sequence number is above ``after``.

    Their numbers are counted from the first event of the log, so a stream is always built from there. An answer that
    was restarted has several streams, one after the other. A reader without a number gets the latest one; a reader with
    a number gets the rest of the stream that the number belongs to, or the next one after the last number.
    """

    shows_queue_position = False

    def __init__(self, snapshot: JobSnapshot, after: int | None = None) -> None:
        self._request, record = snapshot.request, snapshot.record
        self._events = ResponseEventBuilder(
            record.job_id,
            lambda state: pending_response(snapshot, state),
            stream_options(self._request),
            is_background=not isinstance(self._request, ResponseTask) or self._request.background,
        )
        self._after = _FROM_THE_START if after is None else after
        # The number of the event with which the latest attempt began when this reader came.
        self._latest_start = max(0, record.log_start - 1)
        self._is_catching_up = after is None and self._latest_start > 0
        self._held: list[EventObject] = []  # the latest stream, until it is known which one that is
        self._has_sent = False
        self.final_response: JsonObject | None = None  # the one of the last event
        self.is_finished = False

    def start(self, _record: JobRecord) -> bytes:
        return self._encode_events(self._events.start())

    def encode_record(self, _record: JobRecord) -> bytes:
        return b""

    def encode(self, event: Event) -> bytes:
        if event.is_unreadable:
            raise event.error_of_damage()
        if event.is_final:
            return b""
        events = self._events.translate(event)
        is_latest = (event.sequence_number or 0) >= self._latest_start and not self._events.is_repeating
        self._is_catching_up = self._is_catching_up and not is_latest
        return self._encode_events(events)

    def finish(self, view: JobView) -> bytes:
        snapshot = snapshot_of(view, self._request)
        if snapshot.lost_answer:
            return self._end(self._events.fail(snapshot.lost_answer))
        events = self._events.finish(response_object(snapshot))
        self.final_response = events[-1]["response"]
        return self._end(events)

    def fail(self, error: JobError) -> bytes:
        return self._end(self._events.fail(error))

    def shutdown(self) -> bytes:
        """No event: it would take a sequence number, and the client could not resume after it."""
        raise ServerShutdown

    def _end(self, events: list[EventObject]) -> bytes:
        self._is_catching_up = False
        last = self._encode_events(events)
        self.is_finished = True
        return last

    def _encode_events(self, events: list[EventObject]) -> bytes:
        for event in events:
            if event["sequence_number"] > self._after:
                self._held.append(event)
            if is_restart(event) and self._skips_restarts:
                self._held.clear()
        return b"" if self._is_catching_up else self._release()

    @property
    def _skips_restarts(self) -> bool:
        """True until this reader has received an event."""
        return self._after == _FROM_THE_START and not self._has_sent

    def _release(self) -> bytes:
        """The events up to the end of the first stream in them."""
        frames = b""
        self._has_sent = self._has_sent or bool(self._held)
        for event in self._held:
            frames += json_frame(event, event=event["type"])
            if is_restart(event):
                self.is_finished = True
                break
        self._held.clear()
        return frames
