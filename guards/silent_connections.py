"""The connections of this process that owe it bytes: a request, the rest of its headers, or the rest of its body.

When the places are used up, the one that has been silent for longest is closed. So clients that open connections and
send nothing, or only a part of a request, cannot take the places of others.
"""

import socket
from contextlib import suppress


class SilentConnections:
    """Not thread-safe: for one thread, or for greenlets."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}  # by the order of their waits: dicts keep it
        self._last_wait = 0

    def __len__(self) -> int:
        return len(self._sockets)

    def begin(self, connection: socket.socket) -> int:
        """The connection owes bytes from now on. Returns the number of the wait, for ``end``."""
        self._last_wait += 1
        self._sockets[self._last_wait] = connection
        return self._last_wait

    def end(self, wait: int) -> None:
        """The bytes have arrived, or the connection has ended."""
        self._sockets.pop(wait, None)

    def close_oldest(self) -> bool:
        """End the longest wait: its reader sees the end of the input. False if no connection owes bytes."""
        number = next(iter(self._sockets), None)
        if number is None:
            return False
        with suppress(OSError):  # it has closed by itself
            self._sockets.pop(number).shutdown(socket.SHUT_RDWR)
        return True


silent_connections = SilentConnections()
