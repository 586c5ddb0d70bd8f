"""Detects that a client has disconnected. A waiting request must check, since WSGI does not report it."""

import contextlib
import socket
from collections.abc import Callable
from typing import Final

from flask import request

from jobs.errors import ChatqueueError

SOCKET_KEY: Final = "gunicorn.socket"  # the socket in the WSGI environment; other servers do not set it


class ClientDisconnected(ChatqueueError):
    """The client has disconnected. The status is nginx's 499, which appears in logs only."""

    code = "client_disconnected"
    http_status = 499


def disconnect_check() -> Callable[[], None]:
    """A check that raises ClientDisconnected once the client of this request has closed its connection.

    Under a server that hides the connection, the check never raises.
    """
    connection = request.environ.get(SOCKET_KEY)

    def check() -> None:
        if connection is not None and _is_closed(connection):
            raise ClientDisconnected("the client has closed the connection")

    return check


def _is_closed(connection: socket.socket) -> bool:
    """True if the client has closed the connection. Does not block, and leaves a pipelined request unread."""
    timeout = connection.gettimeout()
    try:
        connection.settimeout(0)
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        with contextlib.suppress(OSError):
            connection.settimeout(timeout)
