"""Which call of a function a piece of a chat completion's stream belongs to: the same rule for every reader."""

from collections.abc import Sequence
from typing import Any


def number_of(piece: dict[str, Any], calls: Sequence[dict[str, Any]]) -> int:
    """Of the call that goes on, as its index and id say, else the latest. One beyond the last: a new one begins.

    Some providers give all calls the same index, or none; some repeat id and name in each piece, some send neither id
    nor index and each call whole.
    """
    index, call_id = piece.get("index"), piece.get("id")
    alike = [n for n, call in enumerate(calls) if index is None or call.get("index") in (None, index)]
    if call_id:
        alike = [n for n in alike if calls[n].get("id") in (None, "", call_id)]
    elif index is None and (piece.get("function") or {}).get("name"):
        alike = []
    return alike[-1] if alike else len(calls)
