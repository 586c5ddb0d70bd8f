"""Parses a text completion: forwards its chunks, and accumulates them to the completion of a call without stream."""

import sys
from collections.abc import Iterable
from typing import Any

from openai_format.text import read_text
from openai_format.text_completions import TextCompletionAccumulator
from openai_format.types import JsonObject
from tasks.provider.formats.completion import CompletionParser, forwarded_fields, has_other_fields, is_empty
from tasks.provider.formats.delta import Delta, read_model, read_usage


class TextCompletionParser(CompletionParser):
    """``choices``: how many were requested, for all prompts."""

    def __init__(self, max_chars: int = sys.maxsize, choices: int = 1) -> None:
        super().__init__(max_chars, choices)
        self._accumulator = TextCompletionAccumulator(self.budget, choices)

    def parse(self, payload: Any) -> Iterable[Delta]:
        is_first, chunk = self._accumulator.is_empty, forwarded_fields(payload)
        usage, choices = read_usage(payload.get("usage")), chunk.get("choices") or []
        self._accumulator.add(chunk)
        if usage:
            self._accumulator.add_usage(payload["usage"])
        first: JsonObject = next((choice for choice in choices if choice["index"] == 0), {})
        is_redundant = is_empty(chunk) or (not is_first and _is_text_only(chunk))
        reason = read_text(first.get("finish_reason"))
        return (Delta(first.get("text", ""), reason, usage, read_model(payload), None if is_redundant else chunk),)


def _is_text_only(chunk: JsonObject) -> bool:
    """Whether a chunk contains only text of the first choice."""
    choices = chunk.get("choices") or []
    if len(choices) != 1 or has_other_fields(chunk):
        return False
    names = {name for name, value in choices[0].items() if value is not None}
    return choices[0]["index"] == 0 and names <= {"index", "text"}
