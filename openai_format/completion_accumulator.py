"""Accumulates the chunks of a chat completion to the object that a call without streaming returns."""

from collections import defaultdict
from functools import partial
from typing import Any, Final

from openai_format.completions import assistant_message, choice
from openai_format.function_calls import NO_ARGUMENTS, CallMender, call_index
from openai_format.text import SurrogateJoiner, TextBudget
from openai_format.types import JsonObject

# Texts that grow with each delta. Any other text is complete in each chunk that contains it.
_APPENDED_FIELDS: Final = frozenset(
    {"content", "refusal", "reasoning", "reasoning_content", "arguments", "input", "text", "thinking", "summary"}
    | {"signature", "data", "transcript"}
)
_REPAIRED_FIELDS: Final = frozenset({"content", "refusal", "reasoning", "reasoning_content"})  # texts of a delta
_CUT_REASONS: Final = frozenset({"length", "content_filter"})
_TEXT_PARTS: Final = frozenset({"text", "thinking"})


class CompletionAccumulator:
    """Accumulates one completion with ``choices`` choices.

    Text beyond the budget is cut off, here and in the chunks passed to `add`.
    """

    def __init__(self, budget: TextBudget, choices: int = 1) -> None:
        self._budget = budget
        self._expected_choices = choices
        self._body: JsonObject = {}
        self._choices: dict[int, JsonObject] = {}
        self._menders: dict[int, CallMender] = defaultdict(partial(CallMender, budget))
        self._joiners: dict[tuple[int, str], SurrogateJoiner] = defaultdict(SurrogateJoiner)

    @property
    def is_empty(self) -> bool:
        return not self._body

    @property
    def is_finished(self) -> bool:
        """True once every choice that has begun has its finish reason."""
        return bool(self._choices) and all(entry["finish_reason"] for entry in self._choices.values())

    @property
    def is_complete(self) -> bool:
        """True once every choice that was requested has its finish reason."""
        return self.is_finished and len(self._choices) >= self._expected_choices

    def add(self, chunk: JsonObject) -> None:
        """Add a chunk and modify it: its choices and calls get their indexes, its texts are cut to the budget."""
        self._body |= chunk
        for part in chunk.get("choices") or ():
            self._add_choice(part)

    def add_usage(self, usage: Any) -> None:
        self._body["usage"] = usage

    def flush(self) -> str:
        """Add the rest of texts that ended with half a surrogate pair. Returns that of the first content."""
        rests = {place: joiner.flush() for place, joiner in self._joiners.items()}
        for (index, name), rest in rests.items():
            _merge(self._choices[index]["message"], {name: rest}, self._budget)
        return rests.get((0, "content"), "")

    def completion(self, missing_reason: str = "length") -> JsonObject | None:
        """The completion, at the end of the stream; None if no chunk had a choice.

        ``missing_reason`` is the finish reason of a choice without one: ``length`` if it was cut.
        """
        choices = [entry for _, entry in sorted(self._choices.items())]
        for entry in choices:
            calls = entry["message"].get("tool_calls") or []
            reason = "tool_calls" if calls and missing_reason == "stop" else missing_reason
            entry["finish_reason"] = entry["finish_reason"] or reason
            if entry["finish_reason"] not in _CUT_REASONS:
                _complete_calls(calls)
        return self._body | {"choices": choices} if choices else None

    def _add_choice(self, part: JsonObject) -> None:
        index = part["index"] = int(part.get("index") or 0)
        known = self._choices.get(index)
        if known is None:
            known = self._choices[index] = choice(assistant_message(None), None, index)
        delta = part.get("delta") or {}
        for name in _REPAIRED_FIELDS & delta.keys():
            if isinstance(delta[name], str):
                delta[name] = self._joiners[index, name].join(delta[name])
        fragments = delta.pop("tool_calls", None)
        _merge(known["message"], delta, self._budget)
        if fragments:
            delta["tool_calls"] = list(map(self._menders[index].mend, fragments))
            _add_calls(known["message"].setdefault("tool_calls", []), delta["tool_calls"])
        _merge(known, {name: value for name, value in part.items() if name not in ("index", "delta")}, self._budget)


def _add_calls(known: list[JsonObject], fragments: list[JsonObject]) -> None:
    """Add mended fragments to their calls."""
    for fragment in fragments:
        if fragment["index"] == len(known):
            known.append({})
        call = known[fragment["index"]]
        for name, value in fragment.items():
            if name in ("function", "custom"):
                function = call.setdefault(name, {})
                for part, text in value.items():
                    function[part] = function.get(part, "") + text if part != "name" else text
            elif name != "index":
                call[name] = value


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
            _extend(known[name], _as_parts(value), budget)
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


def _extend(known: list[Any], parts: list[Any], budget: TextBudget) -> None:
    for part in parts:
        position = _merge_position(part, known) if isinstance(part, dict) else None
        if position is None:
            known.append(part)
            continue
        if position == len(known):
            known.append({})
        _merge(known[position], part, budget)


def _merge_position(part: JsonObject, known: list[Any]) -> int | None:
    """The position of the member that the part continues or begins.

    None for a part that is complete by itself, such as the log-probability of a token.
    """
    if part.get("index") is not None:
        return call_index(part, known)
    if part.get("type") not in _TEXT_PARTS:
        return None
    return len(known) - 1 if known and known[-1].get("type") == part["type"] else len(known)


def _complete_calls(calls: list[JsonObject]) -> None:
    """A call without arguments has an empty object, which a client can parse."""
    for call in calls:
        if call.get("type") == "function":
            call["function"]["arguments"] = call["function"].get("arguments") or NO_ARGUMENTS
            call["function"].setdefault("name", "")
