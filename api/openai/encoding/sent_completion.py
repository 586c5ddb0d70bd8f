"""What a reader of a chat completion's stream has received, and what a later attempt may add to it. Pure.

A chunk that was sent cannot be withdrawn. When an attempt ends without an answer, the next attempt often repeats what
was already sent. The repetition is filtered out, and the stream continues after it.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from api.openai.encoding.replay_filter import OutputDiffers
from openai_format.completions import chunk_choice
from openai_format.text import read_content
from openai_format.types import JsonObject

_TEXT_FIELDS: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})  # of a delta; they grow
_CALL_FIELDS: Final = frozenset({"tool_calls", "function_call"})
_CHOICE_FIELDS: Final = frozenset({"index", "delta", "message", "text", "logprobs", "finish_reason"})


@dataclass
class _SentText:
    pieces: list[str] = field(default_factory=list)
    text: str = ""  # the pieces joined, when the latest attempt started
    chars: int = 0  # of the text that the latest attempt has repeated

    def restart(self) -> None:
        self.text = "".join(self.pieces)
        self.pieces, self.chars = [self.text], 0

    def new_part(self, text: str) -> str:
        known = self.text[self.chars : self.chars + len(text)]
        if not text.startswith(known):
            raise OutputDiffers
        self.chars += len(known)
        self.pieces.append(text[len(known) :])
        return text[len(known) :]


@dataclass
class _SentValues:
    values: list[Any] = field(default_factory=list)
    repeated: int = 0

    def is_new(self, value: Any) -> bool:
        self.repeated += 1
        if self.repeated > len(self.values):
            self.values.append(value)
            return True
        if self.values[self.repeated - 1] != value:
            raise OutputDiffers
        return False


class SentCompletion:
    """The output that was sent, of each choice. Each method may raise OutputDiffers."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, str], _SentText] = {}
        self._values: dict[tuple[int, str], _SentValues] = {}
        self._calls: dict[int, list[JsonObject]] = {}  # of each choice, with the arguments so far
        self._is_first_attempt = True

    def restart(self) -> None:
        """A new attempt begins."""
        self._is_first_attempt = not (self._texts or self._values or self._calls)
        for text in self._texts.values():
            text.restart()
        for values in self._values.values():
            values.repeated = 0

    @property
    def is_repeating(self) -> bool:
        """True while the latest attempt has not repeated everything that was sent."""
        return not self._is_first_attempt and (
            any(text.chars < len(text.text) for text in self._texts.values())
            or any(values.repeated < len(values.values) for values in self._values.values())
        )

    def new_text(self, index: int, name: str, text: str) -> str:
        """The part of a text that has not been sent."""
        return self._texts.setdefault((index, name), _SentText()).new_part(text)

    def new_delta(self, index: int, delta: JsonObject, *, with_calls: bool) -> JsonObject:
        """The part of a delta that has not been sent, without its role."""
        new: JsonObject = {}
        for name, value in delta.items():
            if name in _CALL_FIELDS:
                if with_calls:
                    self._add_calls(index, delta)
                    new[name] = value
            elif name in _TEXT_FIELDS and isinstance(value, str):
                text = self.new_text(index, name, value)
                if text or not value:
                    new[name] = text
            elif name != "role" and (value is None or self._is_new_value(index, name, value)):
                new[name] = value
        return new

    def rest_of(self, index: int, message: JsonObject) -> JsonObject:
        """The delta that completes what was sent to this message."""
        rest: JsonObject = {}
        for name in _TEXT_FIELDS:
            sent = self._texts.get((index, name))
            value, text = message.get(name), "".join(sent.pieces) if sent else ""
            whole = read_content(value)
            if not whole.startswith(text):
                raise OutputDiffers
            if whole != text and isinstance(value, str):
                rest[name] = whole[len(text) :]
        calls = [self._rest_of_call(index, number, call) for number, call in enumerate(message.get("tool_calls") or ())]
        if len(self._calls.get(index, ())) > len(calls):
            raise OutputDiffers
        if any(calls):
            rest["tool_calls"] = list(filter(None, calls))
        if message.get("annotations") and (index, "annotations") not in self._values:
            rest["annotations"] = message["annotations"]
        if message.get("function_call") and index not in self._calls:
            rest["function_call"] = message["function_call"]
        return rest

    def check_choices(self, indexes: set[int]) -> None:
        """Raises OutputDiffers if a choice was sent that the answer does not have."""
        if {index for index, _ in (*self._texts, *self._values)} - indexes:
            raise OutputDiffers

    def _is_new_value(self, index: int, name: str, value: Any) -> bool:
        return self._values.setdefault((index, name), _SentValues()).is_new(value)

    def _add_calls(self, index: int, delta: JsonObject) -> None:
        calls = self._calls.setdefault(index, [])
        for fragment in delta.get("tool_calls") or ():
            while fragment["index"] >= len(calls):
                calls.append({"id": None, "name": None, "arguments": []})
            known, (function, name) = calls[fragment["index"]], _function(fragment)
            known["id"] = known["id"] or fragment.get("id")
            known["name"] = known["name"] or function.get("name")
            known["arguments"].append(function.get(name) or "")

    def _rest_of_call(self, index: int, number: int, call: JsonObject) -> JsonObject | None:
        """A call that was sent under another id is another call."""
        sent_calls = self._calls.get(index, [])
        if number >= len(sent_calls):
            return {"index": number, **call}
        sent, (function, name) = sent_calls[number], _function(call)
        arguments, whole = "".join(sent["arguments"]), function.get(name) or ""
        is_same = (sent["id"], sent["name"]) == (call.get("id"), function.get("name"))
        if not is_same or not whole.startswith(arguments):
            raise OutputDiffers
        kind = "custom" if name == "input" else "function"
        return {"index": number, kind: {name: whole[len(arguments) :]}} if whole != arguments else None


def choice_extras(choice: JsonObject) -> JsonObject:
    """The fields of a chunk's choice that are not standard, such as the results of a content filter."""
    return {name: value for name, value in choice.items() if name not in _CHOICE_FIELDS}


def ending_choice(index: int, finish_reason: str, extras: JsonObject) -> JsonObject:
    """The last chunk's choice."""
    return chunk_choice({}, finish_reason, index) | extras


def _function(call: JsonObject) -> tuple[JsonObject, str]:
    """The function of a call or of a fragment, and the name of the text in it."""
    return (call["custom"], "input") if call.get("custom") else (call.get("function") or {}, "arguments")
