"""Accumulates the chunks of a chat completion to the object that a call without streaming returns."""

import uuid
from typing import Any, Final

from openai_format.completions import assistant_message, choice
from openai_format.function_calls import call_index
from openai_format.text import TextBudget
from openai_format.types import JsonObject

# Texts that grow with each delta. Any other text is complete in each chunk that contains it.
_APPENDED_FIELDS: Final = frozenset(
    {"content", "refusal", "reasoning", "reasoning_content", "arguments", "input", "text", "thinking", "summary"}
    | {"signature", "data", "transcript"}
)
_TEXT_PARTS: Final = frozenset({"text", "thinking"})


class CompletionAccumulator:
    """Accumulates one completion. Text beyond the budget is cut off, here and in the chunks passed to `add`."""

    def __init__(self, budget: TextBudget) -> None:
        self._budget = budget
        self._body: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}

    @property
    def is_empty(self) -> bool:
        return not self._body

    @property
    def is_finished(self) -> bool:
        """True once every choice has its finish reason."""
        return bool(self._choices) and all(entry["finish_reason"] for entry in self._choices.values())

    def add(self, chunk: JsonObject) -> None:
        """Add a chunk and modify it: its choices get their indexes, and its texts are cut to the budget."""
        self._body |= chunk
        for part in chunk.get("choices") or ():
            self._add_choice(part)

    def add_usage(self, usage: Any) -> None:
        self._body["usage"] = usage

    def completion(self) -> JsonObject | None:
        """The completion, at the end of the stream; None if no chunk had a choice.

        A choice without finish reason was cut: its reason becomes ``length``.
        """
        choices = [entry for _, entry in sorted(self._choices.items())]
        for entry in choices:
            entry["finish_reason"] = entry["finish_reason"] or "length"
            _complete_calls(entry["message"].get("tool_calls", []))
        return self._body | {"choices": choices} if choices else None

    def _add_choice(self, part: JsonObject) -> None:
        index = part["index"] = int(part.get("index") or 0)
        known = self._choices.get(index)
        if known is None:
            known = self._choices[index] = choice(assistant_message(None), None, index)
        _merge(known["message"], part.get("delta") or {}, self._budget)
        _merge(known, {name: value for name, value in part.items() if name not in ("index", "delta")}, self._budget)


def _merge(known: JsonObject, delta: JsonObject, budget: TextBudget) -> None:
    """Add a delta to the accumulated object. Text that exceeds the budget is cut off both.

    A value that cannot continue the known one, such as an object after a text, replaces it.
    """
    for name, value in delta.items():
        known_value = known.get(name)
        if known_value is not None and value in (None, ""):
            continue
        if isinstance(value, list) or isinstance(known_value, list):
            known[name] = _as_parts(known_value)
            _extend(known[name], _as_parts(value), budget, are_calls=name == "tool_calls")
        elif isinstance(value, dict):
            known[name] = known_value if isinstance(known_value, dict) else {}
            _merge(known[name], value, budget)
        elif name in _APPENDED_FIELDS and isinstance(value, str):
            delta[name] = budget.take(value)
            known[name] = (known_value if isinstance(known_value, str) else "") + delta[name]
        elif value not in (None, ""):
            known[name] = value


def _as_parts(content: Any) -> list[Any]:
    """A text becomes a text part, any other value the only member of the list."""
    if isinstance(content, list):
        return content
    if isinstance(content, str) and content:
        return [{"type": "text", "text": content}]
    return [content] if content else []


def _extend(known: list[Any], parts: list[Any], budget: TextBudget, *, are_calls: bool) -> None:
    for part in parts:
        position = _merge_position(part, known, is_call=are_calls) if isinstance(part, dict) else None
        if position is None:
            known.append(part)
            continue
        if position == len(known):
            known.append({})
        _merge(known[position], part, budget)


def _merge_position(part: JsonObject, known: list[Any], *, is_call: bool) -> int | None:
    """The position of the member that the part continues or begins.

    None for a part that is complete by itself, such as the log-probability of a token.
    """
    if is_call or part.get("index") is not None:
        return call_index(part, known)
    if part.get("type") not in _TEXT_PARTS:
        return None
    return len(known) - 1 if known and known[-1].get("type") == part["type"] else len(known)


def _complete_calls(calls: list[JsonObject]) -> None:
    """Drop the indexes, which only assign deltas to calls; add missing ids, which outputs refer to."""
    for call in calls:
        call.pop("index", None)
        call.setdefault("id", f"call_{uuid.uuid4().hex}")
