"""Chunks of a chat completion as a response, for a provider that speaks nothing else."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from tasks.provider_errors import stream_cut
from tasks.upstream.output import Output, Spoken
from tasks.upstream.piece import Halves, Piece, read_model, read_text, read_usage

_THOUGHTS: Final = ("reasoning_content", "reasoning")  # no standard has them: DeepSeek's name and vLLM's
_CUT_SHORT: Final = frozenset({"length", "content_filter"})


class TranslatingReader:
    is_over = False

    def __init__(self) -> None:
        self._halves: dict[Spoken, Halves] = defaultdict(Halves)
        self._output = Output()
        self._usage: dict[str, Any] = {}
        self._finish_reason: str | None = None

    def read(self, said: Any) -> Iterable[Piece]:
        choices = said["choices"]
        choice = choices[0] if choices else {}
        delta = choice.get("delta") or {}
        reason, usage = read_text(choice.get("finish_reason")), read_usage(said.get("usage"))
        self._finish_reason = reason or self._finish_reason
        if usage:
            self._usage = {"usage": response_usage(said["usage"])}
        pieces = [Piece(finish_reason=reason, usage=usage, model=read_model(said))]
        for kind, text in _spoken(delta):
            pieces += self._say(kind, text)
        for call in delta.get("tool_calls") or ():
            pieces += self._output.call(call)
        return pieces

    def end(self) -> Iterable[Piece]:
        if self._finish_reason is None:
            raise stream_cut()
        closing = self._output.end("incomplete" if self._finish_reason in _CUT_SHORT else "completed")
        return [*closing, Piece(body=self._usage | {"output": self._output.items()})]

    def _say(self, kind: Spoken, text: str) -> Iterable[Piece]:
        whole = self._halves[kind].join(text)
        return self._output.say(kind, whole) if whole else ()


def _spoken(delta: dict[str, Any]) -> Iterator[tuple[Spoken, str]]:
    """What a chunk says: a thought comes before what it led to, and once, though some say it under both names."""
    thoughts = (delta.get(name) for name in _THOUGHTS)
    yield "reasoning_text", next((thought for thought in thoughts if thought and isinstance(thought, str)), "")
    yield "output_text", read_text(delta.get("content")) or ""
    yield "refusal", read_text(delta.get("refusal")) or ""


def response_usage(usage: dict[str, Any]) -> dict[str, Any]:
    """The usage of a chat completion under the names of a response's."""
    given, made = int(usage["prompt_tokens"]), int(usage.get("completion_tokens") or 0)
    read = usage.get("prompt_tokens_details") or {}
    written = usage.get("completion_tokens_details") or {}
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": read.get("cached_tokens") or 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": written.get("reasoning_tokens") or 0},
        "total_tokens": int(usage.get("total_tokens", given + made)),
    }
