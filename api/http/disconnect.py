"""Whether the client of this request is still there: asked while it waits, since nothing else would tell."""

import contextlib
import socket
from collections.abc import Callable
from typing import Final

from flask import request

from jobs.errors import ChatqueueError

SOCKET_KEY: Final = "gunicorn.socket"  # of the connection, in the environment of the request; no other server has it


class ClientDisconnected(ChatqueueError):
    """Nobody reads the answer any more. 499, as nginx has it: it only shows in logs."""

    code = "client_disconnected"
    http_status = 499


def disconnect_check() -> Callable[[], None]:
    """A check for the client of this request, which raises ClientDisconnected when it has closed its connection.

    Under a server that hides the connection nobody ever leaves.
    """
    connection = request.environ.get(SOCKET_KEY)

    def check() -> None:
        if connection is not None and _is_closed(connection):
            raise ClientDisconnected("the client has closed the connection")

    return check


def _is_closed(connection: socket.socket) -> bool:
    """Look at what comes next without taking it or waiting for it: the end, a further request, or nothing yet."""
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
