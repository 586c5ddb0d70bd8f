"""Limits the data of a provider before it is parsed, stored or forwarded.

The parsers decide which part of the data is the answer, and charge it to their SizeBudget.
"""

import json
import math
from collections.abc import Iterable
from typing import Any, Final

from tasks.provider.errors import from_stream_error, protocol_error

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024  # one event; larger than a response with several images
_MAX_DEPTH: Final = 100  # levels; JSON parsers give up at about 200, and stored data is nested in further levels
# The event log beside the text: call arguments arrive in events of about 130 bytes for 4 characters.
_DATA_BYTES: Final = 1024 * 1024
_DATA_BYTES_PER_CHAR: Final = 32


class SizeBudget:
    """The remaining size of an answer. Text beyond it is cut off, and the answer ends there."""

    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._data_bytes = _DATA_BYTES + chars * _DATA_BYTES_PER_CHAR
        self.is_full = False

    def take(self, value: str) -> str:
        """The beginning of a text, a reasoning text or a call's arguments that fits into the budget."""
        self._chars -= len(value)
        if self._chars >= 0:
            return value
        self.is_full = True
        return value[: self._chars]

    def take_data(self, size_bytes: int) -> None:
        """Count data that goes into the event log beside the text. The last data may exceed the budget."""
        self._data_bytes -= size_bytes
        self.is_full = self.is_full or self._data_bytes < 0


def read_event(data: bytes) -> Any:
    """An event's JSON. Raises ProviderBroken, and the error that the provider reports in place of an answer.

    NaN and Infinity, which JSON does not have, become null.
    """
    try:
        value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise protocol_error() from None
    if isinstance(value, dict) and (error := _error_in(value)):
        raise from_stream_error(error)
    return value


def _error_in(value: dict[str, Any]) -> Any:
    """The error that a provider sends in a stream or with the status 200; None if there is none."""
    if error := value.get("error"):
        return error if value.get("object") != "response" else None
    if value.get("type") == "error" or value.get("object") == "error":
        return value
    is_detail = "detail" in value and value.keys().isdisjoint(("choices", "type", "object"))
    return value if is_detail else None  # as FastAPI reports errors


def _null(_constant: str) -> None:
    return None


def _finite(number: str) -> float | None:
    value = float(number)
    return value if math.isfinite(value) else None


def check_depth(value: Any, as_json: str) -> None:
    """Raises ValueError for a value that is nested too deeply."""
    # Counting brackets is faster than counting levels, and a deep value has at least as many.
    if as_json.count("{") + as_json.count("[") > _MAX_DEPTH and _exceeds_depth(value):
        raise ValueError("nested too deeply")


def _exceeds_depth(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level if isinstance(parent, (dict, list)) for child in _children(parent)]
    return any(isinstance(child, (dict, list)) for child in level)


def _children(parent: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return parent.values() if isinstance(parent, dict) else parent


_DECODER: Final = json.JSONDecoder(
    parse_constant=_null, parse_float=_finite
)  # json.loads would build one for each event
