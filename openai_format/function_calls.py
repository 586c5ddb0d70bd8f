"""Assigns the fragments in a chat completion's stream to function calls."""

import json
from collections.abc import Sequence
from typing import Any

from openai_format.text import MALFORMED
from openai_format.types import JsonObject


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
