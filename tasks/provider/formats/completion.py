"""A chat completion: chunks pass as they came, and are put together to the whole that a caller without stream reads."""

import sys
import uuid
from collections.abc import Iterable
from typing import Any, Final

from tasks.provider.errors import stream_cut
from tasks.provider.formats.delta import Delta, SurrogateJoiner, read_model, read_text, read_usage
from tasks.provider.formats.function_calls import call_index
from tasks.provider.limits import SizeBudget

_OWN_FIELDS: Final = frozenset(
    {"id", "object", "created", "usage", "obfuscation"}
)  # of a chunk: written by us, or once
_FIRST_CHUNK_FIELDS: Final = frozenset({"model", "service_tier", "system_fingerprint"})  # told by the first chunk
# Texts that come in deltas. All others come whole, in one chunk or again in each.
_APPENDED_FIELDS: Final = frozenset(
    {"content", "refusal", "reasoning", "reasoning_content", "arguments", "input", "text", "thinking", "summary"}
    | {"signature", "data", "transcript"}
)
_TEXT_PARTS: Final = frozenset({"text", "thinking"})


class CompletionParser:
    is_over = False

    def __init__(self, max_chars: int = sys.maxsize) -> None:
        self.budget = SizeBudget(max_chars)
        self._joiner = SurrogateJoiner()
        self._body: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def parse(self, payload: Any) -> Iterable[Delta]:
        is_first = not self._body
        chunk = {name: value for name, value in payload.items() if name not in _OWN_FIELDS and value is not None}
        usage, choices = read_usage(payload.get("usage")), chunk.get("choices") or ()
        self._body |= chunk
        if usage:
            self._body["usage"] = payload["usage"]
        for choice in choices:
            self._merge_choice(choice)
        first: dict[str, Any] = next((choice for choice in choices if choice["index"] == 0), {})
        content = (first.get("delta") or {}).get("content")
        text = "" if isinstance(content, list) else self._joiner.join(read_text(content) or "")
        is_redundant = _is_empty(chunk) or (not is_first and _is_text_only(chunk))
        reason = read_text(first.get("finish_reason"))
        return (Delta(text, reason, usage, read_model(payload), None if is_redundant else chunk),)

    def finish(self) -> Iterable[Delta]:
        choices = [self._choices[index] for index in sorted(self._choices)]
        if not self.budget.is_full and not (choices and all(choice["finish_reason"] for choice in choices)):
            raise stream_cut()
        for choice in choices:
            choice["finish_reason"] = choice["finish_reason"] or "length"
            _complete_calls(choice["message"].get("tool_calls", []))
        body = self._body | {"choices": choices} if choices else None
        return (Delta(text=self._joiner.flush(), body=body),)

    def _merge_choice(self, choice: dict[str, Any]) -> None:
        index = choice["index"] = int(choice.get("index") or 0)
        whole = self._choices.setdefault(
            index,
            {
                "index": index,
                "message": {"role": "assistant", "content": None, "refusal": None},
                "logprobs": None,
                "finish_reason": None,
            },
        )
        merge(whole["message"], choice.get("delta") or {}, self.budget)
        merge(whole, {name: value for name, value in choice.items() if name not in ("index", "delta")}, self.budget)


def _is_empty(chunk: dict[str, Any]) -> bool:
    """A usage alone, say; some providers begin with a verdict on the prompt, and no choice."""
    return not (chunk.get("choices") or chunk.keys() - _FIRST_CHUNK_FIELDS - {"choices"})


def _is_text_only(chunk: dict[str, Any]) -> bool:
    """Nothing but text for the first choice."""
    choices = chunk.get("choices") or []
    if len(choices) != 1 or chunk.keys() - _FIRST_CHUNK_FIELDS - {"choices"}:
        return False
    names = {name for name, value in choices[0].items() if value is not None}
    delta = {name: value for name, value in (choices[0].get("delta") or {}).items() if value not in (None, "", [])}
    is_text = delta.keys() <= {"content", "role"} and isinstance(delta.get("content", ""), str)
    return choices[0]["index"] == 0 and names <= {"index", "delta"} and is_text


def merge(whole: dict[str, Any], part: dict[str, Any], budget: SizeBudget) -> None:
    """Add a delta to what there is. What there is no budget for is cut off of both.

    Of what cannot go on with what there is, as an object after a text, the latest stands.
    """
    for name, value in part.items():
        known = whole.get(name)
        if known is not None and value in (None, ""):
            continue
        if isinstance(value, list) or isinstance(known, list):
            whole[name] = _parts(known)
            _extend(whole[name], _parts(value), budget, are_calls=name == "tool_calls")
        elif isinstance(value, dict):
            whole[name] = known if isinstance(known, dict) else {}
            merge(whole[name], value, budget)
        elif name in _APPENDED_FIELDS and isinstance(value, str):
            part[name] = budget.take(value)
            whole[name] = (known if isinstance(known, str) else "") + part[name]
        elif value not in (None, ""):
            whole[name] = value


def _parts(content: Any) -> list[Any]:
    """What stands beside parts is one of them: a text as such, anything else as it is."""
    if isinstance(content, list):
        return content
    if isinstance(content, str) and content:
        return [{"type": "text", "text": content}]
    return [content] if content else []


def _extend(whole: list[Any], parts: list[Any], budget: SizeBudget, *, are_calls: bool) -> None:
    for part in parts:
        position = _merge_position(part, whole, is_call=are_calls) if isinstance(part, dict) else None
        if position is None:
            whole.append(part)
            continue
        if position == len(whole):
            whole.append({})
        merge(whole[position], part, budget)


def _merge_position(part: dict[str, Any], whole: list[Any], *, is_call: bool) -> int | None:
    """Where it goes on with something, or begins something that may; None: it is whole, as a token's probability is."""
    if is_call or part.get("index") is not None:
        return call_index(part, whole)
    if part.get("type") not in _TEXT_PARTS:
        return None
    return len(whole) - 1 if whole and whole[-1].get("type") == part["type"] else len(whole)


def _complete_calls(calls: list[dict[str, Any]]) -> None:
    """Their indexes only told which of them a delta belongs to; an id is what their outputs are given under."""
    for call in calls:
        call.pop("index", None)
        call.setdefault("id", f"call_{uuid.uuid4().hex}")
