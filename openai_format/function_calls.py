"""Assigns the fragments in a chat completion's stream to function calls."""

import json
import uuid
from collections.abc import Sequence
from typing import Any, Final

from openai_format.text import MALFORMED, SurrogateJoiner, TextBudget, read_text
from openai_format.types import JsonObject

NO_ARGUMENTS: Final = "{}"  # of a call without any: clients parse the arguments as JSON
_TEXT_NAMES: Final = {"function": "arguments", "custom": "input"}  # kinds of call, and the name of their text


class CallMender:
    """Rewrites the fragments of one choice's calls into the form that OpenAI sends.

    Each has the position of its call as index. The first one of a call has the id, the type and the name, and no other
    has. Arguments are texts, cut to the budget.
    """

    def __init__(self, budget: TextBudget) -> None:
        self._budget = budget
        self._calls: list[JsonObject] = []  # the fields that `call_index` compares
        self._joiners: list[SurrogateJoiner] = []

    def mend(self, fragment: JsonObject) -> JsonObject:
        position = call_index(fragment, self._calls)
        kind = "custom" if fragment.get("custom") else "function"
        function = _function_of(fragment)
        name, text_name = read_text(function.get("name")) or "", _TEXT_NAMES[kind]
        is_first = position == len(self._calls)
        if is_first:
            self._calls.append({"index": fragment.get("index"), "id": None, kind: {"name": "", text_name: ""}})
            self._joiners.append(SurrogateJoiner())
        call, known = self._calls[position], _function_of(self._calls[position])
        text = self._budget.take(self._joiners[position].join(arguments_text(function.get(text_name))))
        mended = {name: value for name, value in fragment.items() if name not in _MENDED_FIELDS}
        mended |= {"index": position, kind: {text_name: text}}
        if is_first:
            mended |= {"id": read_text(fragment.get("id")) or f"call_{uuid.uuid4().hex}", "type": kind}
        if name and not known.get("name"):
            known["name"] = mended[kind]["name"] = name
        call["id"] = call["id"] or fragment.get("id")
        call["index"] = fragment.get("index") if call["index"] is None else call["index"]
        known[text_name] = (known.get(text_name) or "") + text
        return mended


def arguments_text(value: Any) -> str:
    """Arguments as a text; some providers send an object. Raises TypeError for a number."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else read_text(value) or ""


def call_index(fragment: JsonObject, calls: Sequence[JsonObject]) -> int:
    """The position of the call that the fragment continues; ``len(calls)`` if the fragment begins a new call.

    The fragment's index and id decide. Without them, it continues the latest call. Some providers give all calls the
    same index, or none. Some repeat id and name in each fragment, or give each fragment an id of its own. Some send no
    ids, and send each call in one fragment.
    """
    index, call_id = fragment.get("index"), fragment.get("id")
    candidates = [n for n, call in enumerate(calls) if index is None or call.get("index") in (None, index)]
    if call_id:
        same_id = [n for n in candidates if calls[n].get("id") in (None, "", call_id)]
        candidates = same_id or (candidates if _is_continuation(fragment) else [])
    elif candidates and _is_new_call(fragment, calls[candidates[-1]]):
        candidates = []
    return candidates[-1] if candidates else len(calls)


def is_complete(arguments: Any) -> bool:
    """True if the arguments are a complete JSON object, which no further fragment can extend."""
    try:
        return isinstance(json.loads(arguments), dict)
    except MALFORMED:
        return False


_MENDED_FIELDS: Final = frozenset({"index", "id", "type", "function", "custom"})


def _is_continuation(fragment: JsonObject) -> bool:
    """True for a fragment without a name, whatever its id: a call always begins with its name."""
    function = _function_of(fragment)
    return bool(function) and not function.get("name")


def _is_new_call(fragment: JsonObject, call: JsonObject) -> bool:
    """For a fragment without an id. Some providers repeat the name until the arguments are complete."""
    function, known_function = _function_of(fragment), _function_of(call)
    name, known_name = function.get("name"), known_function.get("name")
    if not name or fragment.get("index") is None:
        return bool(name)
    if name != known_name:
        return bool(known_name)
    return _starts_object(function.get("arguments")) and is_complete(known_function.get("arguments"))


def _starts_object(arguments: Any) -> bool:
    """A cheap check, made first: parsing all known arguments with each fragment would cost quadratic time."""
    return isinstance(arguments, str) and arguments.lstrip().startswith("{")


def _function_of(fragment: JsonObject) -> JsonObject:
    return fragment.get("function") or fragment.get("custom") or {}
