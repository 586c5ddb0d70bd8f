"""What a provider may send: bounded here, before anybody reads, keeps or passes it on.

How much of it is the answer is decided by the parsers, which take it from their SizeBudget.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from tasks.provider.errors import from_stream_error, protocol_error

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024  # of one event: above a response with some images in it
_MAX_DEPTH: Final = 100  # levels; readers of JSON give up at some 200, and what is kept is kept inside of more
# Of the log, beside the text: the arguments of a call come in events of some 130 bytes for 4 characters.
_DATA_BYTES: Final = 1024 * 1024
_DATA_BYTES_PER_CHAR: Final = 32


class SizeBudget:
    """How much an answer may still grow. What goes beyond is cut off, and the answer ends there."""

    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._data_bytes = _DATA_BYTES + chars * _DATA_BYTES_PER_CHAR
        self.is_full = False

    def take(self, value: str) -> str:
        """As much of a text, a thought or a call's arguments as the budget allows."""
        self._chars -= len(value)
        if self._chars >= 0:
            return value
        self.is_full = True
        return value[: self._chars]

    def take_data(self, size_bytes: int) -> None:
        """What goes into the log beside the text; the last of it may go beyond."""
        self._data_bytes -= size_bytes
        self.is_full = self.is_full or self._data_bytes < 0


def read_event(data: bytes) -> Any:
    """Raises ProviderBroken, and the error that a provider reports in mid-stream."""
    try:
        value = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise protocol_error() from None
    if isinstance(value, dict) and value.get("error"):
        raise from_stream_error(value["error"])
    return value


def check_depth(value: Any, as_json: str) -> None:
    """Raises ValueError. What is deep has as many brackets, which are counted faster than levels."""
    if as_json.count("{") + as_json.count("[") > _MAX_DEPTH and _exceeds_depth(value):
        raise ValueError("too deep")


def _exceeds_depth(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [child for parent in level if isinstance(parent, (dict, list)) for child in _children(parent)]
    return any(isinstance(child, (dict, list)) for child in level)


def _children(parent: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return parent.values() if isinstance(parent, dict) else parent
