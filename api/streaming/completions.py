"""The stream of /v1/chat/completions: a job's log as the chunks of a chat completion.

A chunk that was sent cannot be withdrawn. When an attempt ends without an answer, the next attempt often repeats the
text that was already sent; a model at temperature 0 mostly does. The repetition is filtered out, and the stream
continues after it. If the next attempt differs, the stream ends with the error `answer_restarted`. The complete answer
can then be fetched.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.openai.encoding.completion import completion_object
from api.openai.snapshot import JobSnapshot, snapshot_of
from api.streaming.sse import frame, json_frame
from jobs.events import Event
from jobs.kinds.completion import CompletionTask
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from jobs.states import State

_COMMON_FIELDS: Final = frozenset({"model", "service_tier", "system_fingerprint"})  # in every chunk
_DONE: Final = frame("[DONE]")
_NO_FIELDS: Final[Mapping[str, Any]] = {}
_FINISH_REASONS: Final = frozenset({"stop", "length", "content_filter"})
_RESTARTED: Final = JobError(
    code="answer_restarted",
    message="the answer was restarted and differs from the streamed text; fetch it by its id, or send a new request",
)
_STOPPED: Final = JobError(
    code="server_stopped", message="the server is shutting down; the completion continues: fetch it by its id"
)
_CANCELLED: Final = JobError(code="cancelled", message="the completion was cancelled")


class ReplayFilter:
    """Removes the output that an earlier attempt has already sent from a new attempt."""

    def __init__(self) -> None:
        self._text = ""
        self._chunks: list[Any] = []
        self._replayed_chars = 0
        self._replayed_chunks = 0

    def restart(self) -> None:
        """A new attempt begins."""
        self._replayed_chars = self._replayed_chunks = 0

    def new_text(self, text: str) -> str | None:
        """The part of the text that has not been sent; None if the text contradicts the sent text."""
        known = self._text[self._replayed_chars : self._replayed_chars + len(text)]
        self._replayed_chars += len(text)
        if not text.startswith(known):
            return None
        self._text += text[len(known) :]
        return text[len(known) :]

    def is_new(self, choices: Any) -> bool | None:
        """False if these choices, which contain more than text, were sent before; None if they contradict those."""
        self._replayed_chunks += 1
        if self._replayed_chunks <= len(self._chunks):
            return None if self._chunks[self._replayed_chunks - 1] != choices else False
        self._chunks.append(choices)
        return True


class CompletionEncoder:
    shows_queue_position = False

    def __init__(self, snapshot: JobSnapshot) -> None:
        request = snapshot.request
        options = request.body.get("stream_options") if isinstance(request, CompletionTask) else None
        self._request = request
        self._wants_usage = bool((options or {}).get("include_usage"))
        self._chunk_fields: dict[str, Any] = {
            "id": snapshot.record.job_id,
            "object": "chat.completion.chunk",
            "created": snapshot.created_at,
            "model": snapshot.request.model,
        }
        self._replay_filter = ReplayFilter()
        self._has_sent_role = False
        self._has_finish_reason = False
        self.is_finished = False

    def start(self, _record: JobRecord) -> bytes:
        return b""

    def encode_record(self, _record: JobRecord) -> bytes:
        return b""

    def encode(self, event: Event) -> bytes:
        if event.is_unreadable:
            raise event.error_of_damage()
        match event.type:
            case "in_progress":
                self._replay_filter.restart()
            case "delta" if event.data is None:
                return self._encode_text(event.text or "")
            case "delta" | "upstream" if event.data and "choices" in event.data:
                return self._encode_data(event.text or "", event.data)
        return b""

    def finish(self, view: JobView) -> bytes:
        """The finish reason unless it was sent, the usage if requested, and [DONE]; or the error of a failed job."""
        self.is_finished = True
        final_snapshot = snapshot_of(view, self._request)
        if view.record.state not in (State.COMPLETED, State.INCOMPLETE) or final_snapshot.error:
            return self.fail(final_snapshot.error or _CANCELLED)
        completion = completion_object(final_snapshot)
        self._chunk_fields["model"] = completion["model"]
        last = b""
        if not self._has_finish_reason:
            reason = final_snapshot.answer.finish_reason if final_snapshot.answer else None
            last = self._encode_chunk([_choice({}, reason if reason in _FINISH_REASONS else "stop")])
        if self._wants_usage:
            last += json_frame({**self._chunk_fields, "choices": [], "usage": completion["usage"]})
        return last + _DONE

    def fail(self, error: JobError) -> bytes:
        self.is_finished = True
        return json_frame({"error": {"type": "server_error", "param": None, **error.model_dump()}})

    def shutdown(self) -> bytes:
        return self.fail(_STOPPED)

    def _encode_text(self, text: str) -> bytes:
        new = self._replay_filter.new_text(text)
        if new is None:
            return self.fail(_RESTARTED)
        return self._encode_chunk([_choice({"content": new})]) if new else b""

    def _encode_data(self, text: str, data: dict[str, Any]) -> bytes:
        choices = data["choices"] or []
        for choice in choices:
            if choice.get("index", 0) == 0 and text:
                choice["delta"] = (choice.get("delta") or {}) | {"content": ""}
        new, is_new = self._replay_filter.new_text(text), self._replay_filter.is_new(choices)
        if new is None or is_new is None:
            return self.fail(_RESTARTED)
        if not is_new:
            return self._encode_chunk([_choice({"content": new})]) if new else b""
        self._chunk_fields |= {name: data[name] for name in _COMMON_FIELDS & data.keys()}
        self._has_finish_reason = self._has_finish_reason or any(choice.get("finish_reason") for choice in choices)
        extra_fields = {name: value for name, value in data.items() if name not in _COMMON_FIELDS}
        return self._encode_chunk([_with_text(choice, new) for choice in choices], extra_fields)

    def _encode_chunk(self, choices: list[dict[str, Any]], extra_fields: Mapping[str, Any] = _NO_FIELDS) -> bytes:
        if not self._has_sent_role and choices:
            self._has_sent_role = True
            choices[0]["delta"] = {"role": "assistant"} | choices[0]["delta"]
        usage = {"usage": None} if self._wants_usage else {}
        return json_frame({**self._chunk_fields, **extra_fields, "choices": choices, **usage})


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _with_text(choice: dict[str, Any], text: str) -> dict[str, Any]:
    delta = choice.get("delta") or {}
    is_first = choice.get("index", 0) == 0
    return {**choice, "delta": delta | {"content": text} if is_first and text else dict(delta)}
