"""Which call of a function a fragment of a chat completion's stream belongs to: the same rule for every reader."""

import json
from collections.abc import Sequence
from typing import Any

from tasks.provider.formats.delta import MALFORMED


def call_index(fragment: dict[str, Any], calls: Sequence[dict[str, Any]]) -> int:
    """Of the call that goes on, as its index and id say, else the latest. One beyond the last: a new one begins.

    Some providers give all calls the same index, or none; some repeat id and name in each fragment, or give each
    fragment an
    id of its own; some send no ids, and each call whole.
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
    """An object in JSON that is whole cannot become another one; anything else still may."""
    try:
        return isinstance(json.loads(arguments), dict)
    except MALFORMED:
        return False


def _is_continuation(fragment: dict[str, Any]) -> bool:
    """Whatever its id is: no call begins without a name."""
    function = _function_of(fragment)
    return bool(function) and not function.get("name")


def _is_new_call(fragment: dict[str, Any], call: dict[str, Any]) -> bool:
    """It has no id, but a name; which some providers only repeat, until the arguments are whole."""
    function, known_function = _function_of(fragment), _function_of(call)
    name, known_name = function.get("name"), known_function.get("name")
    if not name or fragment.get("index") is None:
        return bool(name)
    if name != known_name:
        return bool(known_name)
    return _starts_object(function.get("arguments")) and is_complete(known_function.get("arguments"))


def _starts_object(arguments: Any) -> bool:
    """Looked at first, for it costs less than to read all there is with each fragment."""
    return isinstance(arguments, str) and arguments.lstrip().startswith("{")


def _function_of(fragment: dict[str, Any]) -> dict[str, Any]:
    return fragment.get("function") or fragment.get("custom") or {}
