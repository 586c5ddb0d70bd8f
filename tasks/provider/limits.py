"""What a provider may send: bounded here, before anybody reads, keeps or passes it on.

How much of it is the answer is said by the readers, in what they take of their Room.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from tasks.provider.errors import broken, reported

MOST_EVENT_BYTES: Final = 16 * 1024 * 1024  # of one event: above a response with some images in it
_MOST_DEEP: Final = 100  # levels; readers of JSON give up at some 200, and what is kept is kept inside of more
# Of the log, beside the text: the arguments of a call come in events of some 130 bytes for 4 characters.
_DATA_BYTES: Final = 1024 * 1024
_DATA_BYTES_PER_CHAR: Final = 32


class Room:
    """How much an answer may still grow. What goes beyond is cut off, and the answer ends there."""

    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._data_bytes = _DATA_BYTES + chars * _DATA_BYTES_PER_CHAR
        self.is_full = False

    def take(self, said: str) -> str:
        """As much of a text, a thought or a call's arguments as there is room for."""
        self._chars -= len(said)
        if self._chars >= 0:
            return said
        self.is_full = True
        return said[: self._chars]

    def take_data(self, size_bytes: int) -> None:
        """What goes into the log beside what was said; the last of it may go beyond."""
        self._data_bytes -= size_bytes
        self.is_full = self.is_full or self._data_bytes < 0


def read_event(data: bytes) -> Any:
    """Raises ProviderBroken, and the error that a provider reports in mid-stream."""
    try:
        said = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise broken() from None
    if isinstance(said, dict) and said.get("error"):
        raise reported(said["error"])
    return said


def check_depth(said: Any, as_json: str) -> None:
    """Raises ValueError. What is deep has as many brackets, which are counted faster than levels."""
    if as_json.count("{") + as_json.count("[") > _MOST_DEEP and _is_deep(said):
        raise ValueError("too deep")


def _is_deep(said: Any) -> bool:
    level = [said]
    for _ in range(_MOST_DEEP):
        level = [inner for outer in level if isinstance(outer, (dict, list)) for inner in _inside(outer)]
    return any(isinstance(inner, (dict, list)) for inner in level)


def _inside(outer: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer
