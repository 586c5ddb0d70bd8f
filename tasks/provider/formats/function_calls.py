"""Which call of a function a piece of a chat completion's stream belongs to: the same rule for every reader."""

import json
from collections.abc import Sequence
from typing import Any

from tasks.provider.formats.delta import NONSENSE


def number_of(piece: dict[str, Any], calls: Sequence[dict[str, Any]]) -> int:
    """Of the call that goes on, as its index and id say, else the latest. One beyond the last: a new one begins.

    Some providers give all calls the same index, or none; some repeat id and name in each piece, or give each piece an
    id of its own; some send no ids, and each call whole.
    """
    index, call_id = piece.get("index"), piece.get("id")
    alike = [n for n, call in enumerate(calls) if index is None or call.get("index") in (None, index)]
    if call_id:
        same = [n for n in alike if calls[n].get("id") in (None, "", call_id)]
        alike = same or (alike if _only_goes_on(piece) else [])
    elif alike and _is_another(piece, calls[alike[-1]]):
        alike = []
    return alike[-1] if alike else len(calls)


def is_whole(arguments: Any) -> bool:
    """An object in JSON that is whole cannot become another one; anything else still may."""
    try:
        return isinstance(json.loads(arguments), dict)
    except NONSENSE:
        return False


def _only_goes_on(piece: dict[str, Any]) -> bool:
    """Whatever its id is: no call begins without a name."""
    said = _called(piece)
    return bool(said) and not said.get("name")


def _is_another(piece: dict[str, Any], call: dict[str, Any]) -> bool:
    """It has no id, but a name; which some providers only repeat, until the arguments are whole."""
    said, known = _called(piece), _called(call)
    name, known_name = said.get("name"), known.get("name")
    if not name or piece.get("index") is None:
        return bool(name)
    if name != known_name:
        return bool(known_name)
    return _begins(said.get("arguments")) and is_whole(known.get("arguments"))


def _begins(arguments: Any) -> bool:
    """Looked at first, for it costs less than to read all there is with each piece."""
    return isinstance(arguments, str) and arguments.lstrip().startswith("{")


def _called(piece: dict[str, Any]) -> dict[str, Any]:
    return piece.get("function") or piece.get("custom") or {}
