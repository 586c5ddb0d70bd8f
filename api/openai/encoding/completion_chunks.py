"""A job's log as the chunks of a chat completion. Pure.

Chunks cannot be taken back. So when an attempt ends without an answer, the next one is heard silently as long as it
says the same over again, which a model at temperature 0 mostly does, and goes on where the stream stood. Where it says
anything else, the stream ends with an error that says so; the whole answer is there to be fetched.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.openai.encoding.completion import completion_object
from api.openai.snapshot import Seen
from api.openai.stream import frame
from jobs.events import Event
from jobs.results import JobError
from jobs.states import State

_REPEATED: Final = frozenset({"model", "service_tier", "system_fingerprint"})  # each chunk has them
_DONE: Final = b"data: [DONE]\n\n"
_NOTHING: Final[Mapping[str, Any]] = {}
_FINISH_REASONS: Final = frozenset({"stop", "length", "content_filter"})
_RESTARTED: Final = JobError(
    code="answer_restarted",
    message="the answer was begun anew and differs from what was streamed; fetch it by its id, or ask again",
)
_STOPPED: Final = JobError(
    code="server_stopped", message="the server stops; the completion goes on: fetch it by its id"
)
_CANCELLED: Final = JobError(code="cancelled", message="the completion was cancelled")


class Heard:
    """What an attempt has said so far, and how much of it an earlier attempt had said already."""

    def __init__(self) -> None:
        self._text = ""
        self._data: list[Any] = []
        self._again_chars = 0
        self._again_data = 0

    def restart(self) -> None:
        self._again_chars = self._again_data = 0

    def new_text(self, text: str) -> str | None:
        """The part of it that nobody has heard; None when it contradicts what was heard."""
        known = self._text[self._again_chars : self._again_chars + len(text)]
        self._again_chars += len(text)
        if not text.startswith(known):
            return None
        self._text += text[len(known) :]
        return text[len(known) :]

    def is_new(self, choices: Any) -> bool | None:
        """Of choices that say more than text; None when they contradict what was heard."""
        self._again_data += 1
        if self._again_data <= len(self._data):
            return None if self._data[self._again_data - 1] != choices else False
        self._data.append(choices)
        return True


class CompletionNarration:
    def __init__(self, begin: Seen) -> None:
        options = begin.request.body.get("stream_options") if begin.record.kind == "completion" else None  # type: ignore[union-attr]  # that kind has a body
        self._wants_usage = bool((options or {}).get("include_usage"))
        self._head: dict[str, Any] = {
            "id": begin.record.job_id,
            "object": "chat.completion.chunk",
            "created": begin.created_at,
            "model": begin.request.model,
        }
        self._heard = Heard()
        self._is_spoken = False
        self._is_finished = False
        self.is_over = False

    def opening(self) -> bytes:
        return b""

    def tell(self, event: Event) -> bytes:
        match event.type:
            case "in_progress":
                self._heard.restart()
            case "delta" if event.data is None:
                return self._text(event.text or "")
            case "delta" | "upstream" if event.data and "choices" in event.data:
                return self._chunk(event.text or "", event.data)
        return b""

    def ending(self, at_end: Seen) -> bytes:
        """The finish reason unless it was told, the usage if it was asked for; or the error."""
        self.is_over = True
        record = at_end.record
        if record.state not in (State.COMPLETED, State.INCOMPLETE):
            return self.broken_off(at_end.error or _CANCELLED)
        said = completion_object(at_end)
        self._head["model"] = said["model"]
        last = b""
        if not self._is_finished:
            reason = at_end.answer.finish_reason if at_end.answer else None
            last = self._say([_choice({}, reason if reason in _FINISH_REASONS else "stop")])
        if self._wants_usage:
            last += frame({**self._head, "choices": [], "usage": said["usage"]})
        return last + _DONE

    def broken_off(self, error: JobError) -> bytes:
        self.is_over = True
        return frame({"error": {"type": "server_error", "param": None, **error.model_dump()}})

    def stopped(self) -> bytes:
        return self.broken_off(_STOPPED)

    def _text(self, text: str) -> bytes:
        new = self._heard.new_text(text)
        if new is None:
            return self.broken_off(_RESTARTED)
        return self._say([_choice({"content": new})]) if new else b""

    def _chunk(self, text: str, data: dict[str, Any]) -> bytes:
        choices = data["choices"] or []
        for choice in choices:
            if choice.get("index", 0) == 0 and text:
                choice["delta"] = (choice.get("delta") or {}) | {"content": ""}
        new, is_new = self._heard.new_text(text), self._heard.is_new(choices)
        if new is None or is_new is None:
            return self.broken_off(_RESTARTED)
        if not is_new:
            return self._say([_choice({"content": new})]) if new else b""
        self._head |= {name: data[name] for name in _REPEATED & data.keys()}
        self._is_finished = self._is_finished or any(choice.get("finish_reason") for choice in choices)
        beside = {name: value for name, value in data.items() if name not in _REPEATED}
        return self._say([_with_text(choice, new) for choice in choices], beside)

    def _say(self, choices: list[dict[str, Any]], beside: Mapping[str, Any] = _NOTHING) -> bytes:
        if not self._is_spoken and choices:
            self._is_spoken = True
            choices[0]["delta"] = {"role": "assistant"} | choices[0]["delta"]
        usage = {"usage": None} if self._wants_usage else {}
        return frame({**self._head, **beside, "choices": choices, **usage})


def _choice(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _with_text(choice: dict[str, Any], text: str) -> dict[str, Any]:
    delta = choice.get("delta") or {}
    is_first = choice.get("index", 0) == 0
    return {**choice, "delta": delta | {"content": text} if is_first and text else dict(delta)}
