"""Parses a chat completion: forwards its chunks, and accumulates them to the completion of a call without stream."""

import sys
from collections.abc import Iterable
from typing import Any, Final

from openai_format.completion_accumulator import CompletionAccumulator
from openai_format.completions import choice_number, read_choices
from openai_format.text import read_text
from openai_format.types import JsonObject
from tasks.provider.errors import stream_cut
from tasks.provider.formats.delta import Delta, read_model, read_usage
from tasks.provider.limits import SizeBudget

# Fields of a chunk that are not forwarded: the API sets them itself, or sends them once.
_OWN_FIELDS: Final = frozenset({"id", "object", "created", "usage", "obfuscation"})
_FIRST_CHUNK_FIELDS: Final = frozenset(
    {"model", "service_tier", "system_fingerprint"}
)  # forwarded with the first chunk only
_EMPTY: Final[tuple[Any, ...]] = (None, "", [])


class CompletionParser:
    """``choices``: how many were requested."""

    is_over = False

    def __init__(self, max_chars: int = sys.maxsize, choices: int = 1) -> None:
        self.budget = SizeBudget(max_chars)
        self._accumulator = CompletionAccumulator(self.budget, choices)
        self._begun: set[int] = set()  # the choices with a delta

    @property
    def is_complete(self) -> bool:
        return self._accumulator.is_complete

    def parse(self, payload: Any) -> Iterable[Delta]:
        is_first = self._accumulator.is_empty
        chunk = forwarded_fields(payload)
        usage, choices = read_usage(payload.get("usage")), read_choices(payload, self._begun)
        if "choices" in chunk:
            chunk["choices"] = choices
        self._begun |= {choice_number(choice) for choice in choices if choice["delta"]}
        self._accumulator.add(chunk)
        if usage:
            self._accumulator.add_usage(payload["usage"])
        first: JsonObject = next((choice for choice in choices if choice["index"] == 0), {})
        content = (first.get("delta") or {}).get("content")
        text = "" if isinstance(content, list) else read_text(content) or ""
        is_redundant = is_empty(chunk) or (not is_first and _is_text_only(chunk))
        reason = read_text(first.get("finish_reason"))
        return (Delta(text, reason, usage, read_model(payload), None if is_redundant else chunk),)

    def finish(self, is_done: bool) -> Iterable[Delta]:
        is_ended = self._accumulator.is_finished or (is_done and not self._accumulator.is_empty)
        if not (self.budget.is_full or is_ended):
            raise stream_cut()
        text = self._accumulator.flush()
        body = self._accumulator.completion("length" if self.budget.is_full else "stop")
        reason = body["choices"][0]["finish_reason"] if body else None
        return (Delta(text=text, finish_reason=reason, body=body),)


def forwarded_fields(payload: JsonObject) -> JsonObject:
    """A copy of a chunk without null and without what the API sets itself. Raises AttributeError."""
    return {name: value for name, value in payload.items() if name not in _OWN_FIELDS and value is not None}


def is_empty(chunk: JsonObject) -> bool:
    """Whether a chunk has nothing to forward, such as a chunk with usage only.

    A chunk without choices may still have data: some providers first send content-filter results for the prompt.
    """
    return not (chunk.get("choices") or has_other_fields(chunk))


def has_other_fields(chunk: JsonObject) -> bool:
    """Whether a chunk has more than its choices and the fields that are forwarded once."""
    return bool(chunk.keys() - _FIRST_CHUNK_FIELDS - {"choices"})


def _is_text_only(chunk: JsonObject) -> bool:
    """Whether a chunk contains only text of the first choice."""
    choices = chunk.get("choices") or []
    if len(choices) != 1 or has_other_fields(chunk):
        return False
    names = {name for name, value in choices[0].items() if value is not None}
    delta = {name: value for name, value in (choices[0].get("delta") or {}).items() if value not in _EMPTY}
    is_text = delta.keys() <= {"content", "role"} and isinstance(delta.get("content", ""), str)
    return choices[0]["index"] == 0 and names <= {"index", "delta"} and is_text
