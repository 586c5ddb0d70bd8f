"""The connections of this process that owe it bytes: a request, the rest of its headers, or the rest of its body.

When the places are used up, the one that has been silent for longest is closed. So clients that open connections and
send nothing, or only a part of a request, cannot take the places of others.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class SilentConnections:
    """Not thread-safe: for one thread, or for greenlets."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}  # by the order of their waits: dicts keep it
        self._last_wait = 0

    def __len__(self) -> int:
        return len(self._sockets)

    @contextmanager
    def awaiting(self, connection: socket.socket | None) -> Iterator[None]:
        """Within the block the connection owes bytes. None, of a server that hides it, is not counted."""
        if connection is None:
            yield
            return
        self._last_wait += 1
        number = self._last_wait
        self._sockets[number] = connection
        try:
            yield
        finally:
            self._sockets.pop(number, None)

    def close_oldest(self) -> bool:
        """End the longest wait: its reader sees the end of the input. False if no connection owes bytes."""
        number = next(iter(self._sockets), None)
        if number is None:
            return False
        with suppress(OSError):  # it has closed by itself
            self._sockets.pop(number).shutdown(socket.SHUT_RDWR)
        return True


silent_connections = SilentConnections()
