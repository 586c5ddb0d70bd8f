"""The streams of /v1/chat/completions and /v1/completions: a job's log as the chunks of a completion.

A chunk that was sent cannot be withdrawn. When an attempt ends without an answer, the next attempt often repeats the
text that was already sent; a model at temperature 0 mostly does. The repetition is filtered out, and the stream
continues after it. If the next attempt differs, the stream ends with the error `answer_restarted`. The complete answer
can then be fetched.

Calls and finish reasons are sent when the answer is complete. With `include_arguments`, calls are streamed as they
arrive until an attempt with output fails.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.openai.encoding.completion import completion_object
from api.openai.encoding.items import stream_options
from api.openai.encoding.replay_filter import OutputDiffers
from api.openai.encoding.response_events import RESTARTED
from api.openai.encoding.sent_completion import SentCompletion, choice_extras, ending_choice
from api.openai.encoding.text_completion import text_completion_object
from api.openai.errors import openai_error
from api.openai.snapshot import JobSnapshot, snapshot_of
from api.streaming.sse import frame, json_frame
from jobs.events import Event
from jobs.kinds.completion import CompletionTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from jobs.states import State
from openai_format.completions import chunk_choice
from openai_format.types import JsonObject

_COMMON_FIELDS: Final = frozenset({"model", "service_tier", "system_fingerprint"})  # in every chunk
_DONE: Final = frame("[DONE]")
_OUTPUT_TYPES: Final = frozenset({"delta", "upstream"})
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_STOPPED: Final = JobError(
    code="server_stopped", message="the server is shutting down; the completion continues: fetch it by its id"
)
_CANCELLED: Final = JobError(code="cancelled", message="the completion was cancelled")


class CompletionEncoder:
    """The chunks of a chat completion."""

    shows_queue_position = False
    _chunk_object = "chat.completion.chunk"

    def __init__(self, snapshot: JobSnapshot) -> None:
        request, record = snapshot.request, snapshot.record
        completion = request if isinstance(request, CompletionTask | TextCompletionTask) else None
        options = completion.body.get("stream_options") if completion else None
        self._request = request
        self._wants_usage = bool((options or {}).get("include_usage"))
        self._wants_arguments = stream_options(request).include_arguments
        self._chunk_fields: dict[str, Any] = {
            "id": record.job_id,
            "object": self._chunk_object,
            "created": snapshot.created_at,
            "model": request.model,
        }
        self._skip_before = record.log_start - 1  # events of attempts that had ended when this reader came
        self._sent = SentCompletion()
        self._has_output = self._has_lost_output = False  # any attempt; an attempt that has failed
        self._endings: dict[int, JsonObject] = {}  # by choice: further fields of the chunk with its finish reason
        self._opened: set[int] = set()  # the choices whose role has been sent
        self.is_finished = False

    def start(self, _record: JobRecord) -> bytes:
        return b""

    def encode_record(self, _record: JobRecord) -> bytes:
        return b""

    def encode(self, event: Event) -> bytes:
        if event.sequence_number is not None and event.sequence_number < self._skip_before:
            return b""
        if event.is_unreadable:
            raise event.error_of_damage()
        try:
            return self._encode(event)
        except OutputDiffers:
            return self.fail(RESTARTED)

    def finish(self, view: JobView) -> bytes:
        """What was not sent of the answer, the finish reasons, the usage if requested, and [DONE]; or the error."""
        self.is_finished = True
        final_snapshot = snapshot_of(view, self._request)
        if view.record.state not in (State.COMPLETED, State.INCOMPLETE) or final_snapshot.error:
            return self.fail(final_snapshot.error or _CANCELLED)
        completion = self._final_completion(final_snapshot)
        self._chunk_fields["model"] = completion["model"]
        try:
            last = self._encode_rest(completion["choices"])
        except OutputDiffers:
            return self.fail(RESTARTED)
        if self._wants_usage:
            last += json_frame({**self._chunk_fields, "choices": [], "usage": completion["usage"]})
        return last + _DONE

    def fail(self, error: JobError) -> bytes:
        self.is_finished = True
        return json_frame({"error": openai_error(error)})

    def shutdown(self) -> bytes:
        return self.fail(_STOPPED)

    def _final_completion(self, final_snapshot: JobSnapshot) -> JsonObject:
        """The answer. Each choice has a message."""
        return completion_object(final_snapshot)

    def _shown_choice(self, choice: JsonObject) -> JsonObject:
        """The choice of a chunk as the client reads it. The first one has the role."""
        is_first = choice["index"] not in self._opened
        self._opened.add(choice["index"])
        return choice | {"delta": {"role": "assistant"} | choice["delta"]} if is_first else choice

    def _encode(self, event: Event) -> bytes:
        self._has_output = self._has_output or event.type in _OUTPUT_TYPES
        match event.type:
            case "in_progress":
                self._has_lost_output = self._has_lost_output or self._has_output
                self._endings.clear()
                self._sent.restart()
            case "delta" if event.data is None:
                new = self._sent.new_text(0, "content", event.text or "")
                return self._encode_chunk([chunk_choice({"content": new})]) if new else b""
            case "delta" | "upstream" if event.data and "choices" in event.data:
                return self._encode_data(event.text or "", event.data)
        return b""

    def _encode_data(self, text: str, data: dict[str, Any]) -> bytes:
        was_repeating = self._sent.is_repeating
        choices = [
            new
            for choice in data["choices"] or []
            if (new := self._new_choice(choice, text, is_repeated=was_repeating))
        ]
        if was_repeating:
            return self._encode_chunk(choices) if choices else b""
        self._chunk_fields |= {name: data[name] for name in _COMMON_FIELDS & data.keys()}
        extra_fields = {name: value for name, value in data.items() if name not in _COMMON_FIELDS | {"choices"}}
        return self._encode_chunk(choices, extra_fields) if choices or extra_fields else b""

    def _new_choice(self, choice: JsonObject, text: str, *, is_repeated: bool) -> JsonObject | None:
        """The part of a chunk's choice that has not been sent. ``text`` is the content of the first choice."""
        index, delta = choice.get("index", 0), choice.get("delta") or {}
        if index == 0 and text:
            delta = delta | {"content": text}
        with_calls = self._wants_arguments and not self._has_lost_output
        new = self._sent.new_delta(index, delta, with_calls=with_calls)
        extras = choice_extras(choice)
        logprobs = choice.get("logprobs") if not is_repeated else None
        if choice.get("finish_reason"):
            self._endings[index] = extras
            extras = {}
        has_output = any(value not in ("", None) for value in new.values())
        is_opening = "role" in delta and not choice.get("finish_reason")
        if not (has_output or (not is_repeated and (logprobs or extras or is_opening))):
            return None
        return {**chunk_choice(new, None, index), "logprobs": logprobs, **({} if is_repeated else extras)}

    def _encode_rest(self, choices: list[JsonObject]) -> bytes:
        self._sent.check_choices({choice.get("index", 0) for choice in choices})
        frames = b""
        for choice in choices:
            index, rest = (
                choice.get("index", 0),
                self._sent.rest_of(choice.get("index", 0), choice.get("message") or {}),
            )
            if rest:
                frames += self._encode_chunk([chunk_choice(rest, None, index)])
            reason = choice.get("finish_reason") or "stop"
            frames += self._encode_chunk([ending_choice(index, reason, self._endings.get(index, {}))])
        return frames

    def _encode_chunk(self, choices: list[dict[str, Any]], extra_fields: Mapping[str, Any] = _NO_FIELDS) -> bytes:
        shown = [self._shown_choice(choice) for choice in choices]
        usage = {"usage": None} if self._wants_usage else {}
        return json_frame({**self._chunk_fields, **extra_fields, "choices": shown, **usage})


class TextCompletionEncoder(CompletionEncoder):
    """The chunks of a text completion. Here their choices have a delta, as those of a chat completion do."""

    _chunk_object = "text_completion"

    def _new_choice(self, choice: JsonObject, text: str, *, is_repeated: bool) -> JsonObject | None:
        delta = {"content": choice["text"]} if choice.get("text") else {}
        return super()._new_choice({**choice, "delta": delta}, text, is_repeated=is_repeated)

    def _final_completion(self, final_snapshot: JobSnapshot) -> JsonObject:
        completion = text_completion_object(final_snapshot)
        choices = [{**choice, "message": {"content": choice.get("text") or ""}} for choice in completion["choices"]]
        return completion | {"choices": choices}

    def _shown_choice(self, choice: JsonObject) -> JsonObject:
        rest = {name: value for name, value in choice.items() if name != "delta"}
        return {**rest, "text": choice["delta"].get("content") or ""}
