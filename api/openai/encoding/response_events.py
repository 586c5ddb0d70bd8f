"""A job's log as the events of a response. Pure: the same log gives the same events under the same numbers.

Readers do not see attempts. When an attempt ends without an answer, the next one continues the items that were sent, as
long as its output is the same. Where it differs, the stream ends with `response.failed` and the error
`answer_restarted`; the numbers go on, and a second stream of the same response begins with the new attempt.

A call that the client would act on is sent when the answer is complete, because it could not be withdrawn.

Options of the request change this: with `include_arguments` calls are streamed as they arrive until an attempt with
output fails; with `include_restarts` the items of an attempt without an answer are closed as incomplete, and the items
of the next attempt follow at the next output index.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from api.openai.encoding.attempt_events import AttemptEvents
from api.openai.encoding.items import FIRST_LOG_START, message_id
from api.openai.encoding.replay_filter import OutputDiffers
from api.openai.encoding.sent_response import SentResponse, is_client_run
from jobs.events import Event
from jobs.requests import StreamOptions
from jobs.results import JobError
from jobs.states import State
from openai_format import response_events
from openai_format.types import EventObject, JsonObject

STATES_WITHOUT_ANSWER: Final = frozenset({State.FAILED, State.CANCELLED})
RESTARTED: Final = JobError(
    code="answer_restarted",
    message="the answer was restarted and differs from the streamed output; fetch it by its id, or send a new request",
)
_DEFAULT_OPTIONS: Final = StreamOptions()


class ResponseEventBuilder:
    """Translates one log from its beginning. ``response`` returns the response object for a state that is not final."""

    def __init__(
        self,
        job_id: str,
        response: Callable[[State], JsonObject],
        options: StreamOptions = _DEFAULT_OPTIONS,
        *,
        is_background: bool = True,
    ) -> None:
        self._job_id = job_id
        self._response = response
        self._options = options
        self._is_background = is_background
        self._numbering = response_events.EventNumbering()
        self._sent = SentResponse()
        self._attempt = AttemptEvents(message_id(job_id, FIRST_LOG_START))
        self._repeated: list[EventObject] = []  # events of the latest attempt, until it has caught up
        self._offset = 0  # output index of the latest attempt's first item, with include_restarts
        self._has_started = False
        self._has_lost_output = False  # an attempt has failed after the beginning of its output
        self._is_held = False  # the latest attempt's output is sent when the answer is complete

    @property
    def is_repeating(self) -> bool:
        """True while the latest attempt may still contradict what was sent."""
        return self._has_lost_output and not self._sent.is_caught_up

    def start(self) -> list[EventObject]:
        """The events before the first entry of the log. A response in the foreground is never shown as queued."""
        state = State.QUEUED if self._is_background else State.IN_PROGRESS
        return self._number(self._opening(("created", state), (state.value, state)))

    def _opening(self, *events: tuple[str, State]) -> Iterator[EventObject]:
        return (response_events.response_event(kind, self._response(state)) for kind, state in events)

    def translate(self, event: Event) -> list[EventObject]:
        """The events for one entry of the log that is not the final one."""
        match event.type:
            case "in_progress":
                return self._number(self._start_attempt(event))
            case "delta" | "upstream":
                return self._number(self._send_all(self._attempt.translate(event)))
            case "attempt_incomplete" if self._options.include_restarts:
                return self._number(self._shifted(self._attempt.close_open_items()))
        return []

    def finish(self, response: JsonObject) -> list[EventObject]:
        """The last events, with the final response. A response without an answer gets the items of the stream."""
        if response["status"] in STATES_WITHOUT_ANSWER:
            return self._number(self._end_without_answer(response | {"output": self.output()}))
        if self._options.include_restarts:
            return self._number(self._end_of_attempt(response))
        return self._number(
            [*self._send_all(self._attempt.close_own_message(response["status"])), *self._end(response)]
        )

    def output(self) -> list[JsonObject]:
        """The items of the latest attempt: the finished ones, and texts that were cut off."""
        return self._attempt.output()

    def fail(self, error: JobError) -> list[EventObject]:
        """The events for a reader whose job was deleted, or whose log cannot be read."""
        return self._number([{"type": "error", "code": error.code, "message": error.message, "param": None}])

    def _number(self, unnumbered: Iterable[EventObject]) -> list[EventObject]:
        return [self._numbering.number(event) for event in unnumbered]

    def _start_attempt(self, event: Event) -> Iterator[EventObject]:
        log_start = FIRST_LOG_START
        self._has_lost_output = self._has_lost_output or self._attempt.next_index > 0
        if self._options.include_restarts:
            yield from self._shifted(self._attempt.close_open_items())
            self._offset += self._attempt.next_index
            log_start = (event.sequence_number or 0) + 1
        self._attempt = AttemptEvents(message_id(self._job_id, log_start))
        self._sent.restart()
        self._repeated.clear()
        self._is_held = False
        is_first, self._has_started = not self._has_started, True
        if is_first and self._is_background:
            yield response_events.response_event("in_progress", self._response(State.IN_PROGRESS))

    def _send_all(self, events: Iterable[EventObject]) -> Iterator[EventObject]:
        if self._options.include_restarts:
            yield from self._shifted(events)
            return
        for event in events:
            yield from self._send(event)

    def _send(self, event: EventObject) -> Iterator[EventObject]:
        self._is_held = self._is_held or self._must_be_held(event)
        if self._is_held:
            return
        if self.is_repeating:
            self._repeated.append(event)
        try:
            new = self._sent.send(event)
        except OutputDiffers:
            yield from self._begin_again()
            repeated, self._repeated = self._repeated, []
            yield from filter(None, map(self._sent.send, repeated))
            return
        if new is not None:
            yield new

    def _must_be_held(self, event: EventObject) -> bool:
        is_call = event["type"] == response_events.ITEM_ADDED and is_client_run(event["item"])
        return is_call and (self._has_lost_output or not self._options.include_arguments)

    def _begin_again(self) -> Iterator[EventObject]:
        """End the stream, and begin another one."""
        failed = self._response(State.FAILED) | {"error": {"code": RESTARTED.code, "message": RESTARTED.message}}
        yield response_events.response_event("failed", failed)
        self._sent = SentResponse()
        yield from self._opening(("created", State.IN_PROGRESS), ("in_progress", State.IN_PROGRESS))

    def _end(self, response: JsonObject) -> Iterator[EventObject]:
        try:
            rest, output = self._sent.finish(response["output"])
        except OutputDiffers:
            yield from self._begin_again()
            rest, output = self._sent.finish(response["output"])
        yield from rest
        yield response_events.response_event(response["status"], response | {"output": output})

    def _end_without_answer(self, response: JsonObject) -> Iterator[EventObject]:
        closing = (
            self._shifted(self._attempt.close_open_items())
            if self._options.include_restarts
            else self._sent.close_open_items()
        )
        yield from closing
        yield response_events.response_event(response["status"], response)

    def _end_of_attempt(self, response: JsonObject) -> Iterator[EventObject]:
        yield from self._shifted(self._attempt.close_own_message(response["status"]))
        yield from self._shifted(self._attempt.close_open_items())
        yield response_events.response_event(response["status"], response)

    def _shifted(self, events: Iterable[EventObject]) -> Iterator[EventObject]:
        for event in events:
            has_index = "output_index" in event
            yield event | {"output_index": event["output_index"] + self._offset} if has_index else event


def is_restart(event: EventObject) -> bool:
    """True for the event that ends a stream because the answer was restarted."""
    error = event["response"].get("error") if event["type"] == "response.failed" else None
    return error is not None and error["code"] == RESTARTED.code
