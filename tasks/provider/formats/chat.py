"""A chat of the native API, sent as a chat completion. Only the text of the answer is kept."""

import sys
from collections.abc import Iterable
from typing import Any

from jobs.kinds.chat import ChatTask
from openai_format.completions import choice_number, read_choices
from openai_format.text import SurrogateJoiner, read_content, read_text, spoken_text
from openai_format.types import JsonObject
from tasks.provider.errors import stream_cut
from tasks.provider.formats.delta import Delta, read_model, read_usage
from tasks.provider.limits import SizeBudget


def chat_body(request: ChatTask) -> JsonObject:
    messages = [{"role": message.role, "content": message.content} for message in request.history]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    messages.append({"role": "user", "content": request.message})
    body: JsonObject = {"messages": messages}
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    return body


class ChatParser:
    """Reads from chunks the text of the first choice, its finish reason, the model and the usage."""

    is_over = False

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.budget = SizeBudget(max_chars)
        self._joiner = SurrogateJoiner()
        self._has_begun = False
        self.is_complete = False

    def parse(self, payload: Any) -> Iterable[Delta]:
        choice = first_choice(payload, has_begun=self._has_begun)
        delta = choice.get("delta") or {}
        text = self._joiner.join(read_content(delta.get("content")) or spoken_text(delta))
        self._has_begun = self._has_begun or bool(choice)
        parsed = Delta(
            text=self.budget.take(text),
            finish_reason=read_text(choice.get("finish_reason")) or None,
            usage=read_usage(payload.get("usage")),
            model=read_model(payload),
        )
        self.is_complete = self.is_complete or parsed.finish_reason is not None
        return (parsed,)

    def finish(self, is_done: bool) -> Iterable[Delta]:
        if not (self.is_complete or self.budget.is_full or (is_done and self._has_begun)):
            raise stream_cut()
        rest = self.budget.take(self._joiner.flush())
        reason = None if self.is_complete else "stop"
        return (Delta(text=rest, finish_reason=reason),) if rest or reason else ()


def first_choice(payload: Any, *, has_begun: bool) -> JsonObject:
    """The choice with index 0 of a chunk, with a delta; empty if there is none."""
    choices = payload.get("choices")
    if choices and len(choices) == 1 and choices[0].get("delta") and not choices[0].get("index"):
        only: JsonObject = choices[0]  # nearly every chunk
        return only
    choices = read_choices(payload, {0} if has_begun else ())
    return next((choice for choice in choices if choice_number(choice) == 0), {})
