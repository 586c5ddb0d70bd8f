"""Chunks of a chat completion as a response, for a provider that speaks nothing else."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from jobs.results import Usage
from tasks.provider.errors import stream_cut
from tasks.provider.formats.delta import (
    TRUNCATED_REASONS,
    Delta,
    SurrogateJoiner,
    read_content,
    read_model,
    read_text,
    read_usage,
)
from tasks.provider.formats.response_items import Output, TextKind
from tasks.provider.limits import SizeBudget

_REASONING_FIELDS: Final = ("reasoning_content", "reasoning")  # no standard has them: DeepSeek's name and vLLM's
_NO_LOGPROBS: Final[dict[str, Any]] = {}


class ChatToResponseParser:
    is_over = False

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.budget = SizeBudget(max_chars)
        self._joiners: dict[TextKind, SurrogateJoiner] = defaultdict(SurrogateJoiner)
        self._output = Output(self.budget)
        self._usage: dict[str, Any] = {}
        self._finish_reason: str | None = None

    def parse(self, payload: Any) -> Iterable[Delta]:
        choices = payload.get("choices")
        choice = choices[0] if choices else {}
        delta = choice.get("delta") or {}
        reason, usage = read_text(choice.get("finish_reason")), read_usage(payload.get("usage"))
        self._finish_reason = reason or self._finish_reason
        if usage:
            self._usage = {"usage": response_usage(usage, payload["usage"])}
        deltas = [Delta(finish_reason=reason, usage=usage, model=read_model(payload))]
        logprobs = choice.get("logprobs") or _NO_LOGPROBS
        for kind, text in _texts_of(delta):
            if text:
                deltas += self._add_text(kind, self._joiners[kind].join(text), logprobs)
        for call in delta.get("tool_calls") or ():
            deltas += self._output.call(call)
        return deltas

    def finish(self) -> Iterable[Delta]:
        if self._finish_reason is None and not self.budget.is_full:
            raise stream_cut()
        final_texts = [
            delta for kind, joiner in self._joiners.items() for delta in self._add_text(kind, joiner.flush())
        ]
        is_truncated = self.budget.is_full or self._finish_reason in TRUNCATED_REASONS
        closing = self._output.finish("incomplete" if is_truncated else "completed")
        return [*final_texts, *closing, Delta(body=self._usage | {"output": self._output.items()})]

    def _add_text(self, kind: TextKind, text: str, logprobs: dict[str, Any] = _NO_LOGPROBS) -> Iterable[Delta]:
        text = self.budget.take(text)
        return self._output.add_text(kind, text, logprobs.get("content") or []) if text else ()


def _texts_of(delta: dict[str, Any]) -> Iterator[tuple[TextKind, str]]:
    """What a chunk says: a thought comes before what it led to, and once, though some say it under both names."""
    reasoning_texts = (delta.get(name) for name in _REASONING_FIELDS)
    yield "reasoning_text", next((thought for thought in reasoning_texts if thought and isinstance(thought, str)), "")
    yield "output_text", read_content(delta.get("content"))
    yield "refusal", read_text(delta.get("refusal")) or ""


def response_usage(usage: Usage, payload: dict[str, Any]) -> dict[str, Any]:
    """The usage of a chat completion under the names of a response's."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": _detail(payload, "prompt_tokens_details", "cached_tokens")},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {
            "reasoning_tokens": _detail(payload, "completion_tokens_details", "reasoning_tokens")
        },
        "total_tokens": usage.total_tokens,
    }


def _detail(usage: dict[str, Any], of: str, name: str) -> int:
    details = usage.get(of)
    count = details.get(name) if isinstance(details, dict) else None
    return count if isinstance(count, int) else 0
