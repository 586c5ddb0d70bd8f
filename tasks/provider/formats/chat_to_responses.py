"""Chunks of a chat completion as a response, for a provider that speaks nothing else."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jobs.results import Usage
from tasks.provider.errors import stream_cut
from tasks.provider.formats.delta import CUT_SHORT, Halves, Piece, read_content, read_model, read_text, read_usage
from tasks.provider.formats.response_items import Output, Spoken
from tasks.provider.limits import Room

_THOUGHTS: Final = ("reasoning_content", "reasoning")  # no standard has them: DeepSeek's name and vLLM's
_NO_LOGPROBS: Final[dict[str, Any]] = {}


class TranslatingReader:
    is_over = False

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.room = Room(max_chars)
        self._halves: dict[Spoken, Halves] = defaultdict(Halves)
        self._output = Output(self.room)
        self._usage: dict[str, Any] = {}
        self._finish_reason: str | None = None

    def read(self, said: Any) -> Iterable[Piece]:
        choices = said.get("choices")
        choice = choices[0] if choices else {}
        delta = choice.get("delta") or {}
        reason, usage = read_text(choice.get("finish_reason")), read_usage(said.get("usage"))
        self._finish_reason = reason or self._finish_reason
        if usage:
            self._usage = {"usage": response_usage(usage, said["usage"])}
        pieces = [Piece(finish_reason=reason, usage=usage, model=read_model(said))]
        logprobs = choice.get("logprobs") or _NO_LOGPROBS
        for kind, text in _spoken(delta):
            if text:
                pieces += self._say(kind, self._halves[kind].join(text), logprobs)
        for call in delta.get("tool_calls") or ():
            pieces += self._output.call(call)
        return pieces

    def end(self) -> Iterable[Piece]:
        if self._finish_reason is None and not self.room.is_full:
            raise stream_cut()
        last = [piece for kind, halves in self._halves.items() for piece in self._say(kind, halves.rest())]
        is_cut = self.room.is_full or self._finish_reason in CUT_SHORT
        closing = self._output.end("incomplete" if is_cut else "completed")
        return [*last, *closing, Piece(body=self._usage | {"output": self._output.items()})]

    def _say(self, kind: Spoken, text: str, logprobs: dict[str, Any] = _NO_LOGPROBS) -> Iterable[Piece]:
        text = self.room.take(text)
        return self._output.say(kind, text, logprobs.get("content") or []) if text else ()


def _spoken(delta: dict[str, Any]) -> Iterator[tuple[Spoken, str]]:
    """What a chunk says: a thought comes before what it led to, and once, though some say it under both names."""
    thoughts = (delta.get(name) for name in _THOUGHTS)
    yield "reasoning_text", next((thought for thought in thoughts if thought and isinstance(thought, str)), "")
    yield "output_text", read_content(delta.get("content"))
    yield "refusal", read_text(delta.get("refusal")) or ""


def response_usage(counted: Usage, said: dict[str, Any]) -> dict[str, Any]:
    """The usage of a chat completion under the names of a response's."""
    return {
        "input_tokens": counted.input_tokens,
        "input_tokens_details": {"cached_tokens": _detail(said, "prompt_tokens_details", "cached_tokens")},
        "output_tokens": counted.output_tokens,
        "output_tokens_details": {"reasoning_tokens": _detail(said, "completion_tokens_details", "reasoning_tokens")},
        "total_tokens": counted.total_tokens,
    }


def _detail(usage: dict[str, Any], of: str, name: str) -> int:
    details = usage.get(of)
    count = details.get(name) if isinstance(details, dict) else None
    return count if isinstance(count, int) else 0
