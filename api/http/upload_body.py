"""Reads a request body block by block, within limits of size and time. An incomplete body is rejected."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.disconnect import SOCKET_KEY
from documents.errors import DocumentTooLarge
from jobs.errors import MalformedUpload

FORM_OVERHEAD_BYTES: Final = 64 * 1024  # boundaries, headers and small fields of a form, besides the file


class UploadBody:
    """A file-like body: ``read`` returns b"" at the end. Raises DocumentTooLarge, and MalformedUpload if cut off."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._read_bytes = 0
        self._request = request
        self._socket = request.environ.get(SOCKET_KEY)  # other servers must limit the time themselves
        self._error_message = "the upload ended early or is malformed"
        request.max_content_length = max_bytes + FORM_OVERHEAD_BYTES

    def read(self, size: int, /) -> bytes:
        try:
            block = self._request.stream.read(size)
        except RequestEntityTooLarge:
            raise DocumentTooLarge(f"a document must have at most {self._max_bytes} bytes") from None
        except Exception:  # noqa: BLE001  # each server raises its own errors for an unreadable body
            raise MalformedUpload(self._error_message) from None
        self._read_bytes += len(block)
        if not block and self._read_bytes < (self._request.content_length or 0):
            raise MalformedUpload(self._error_message)  # a server may end the body where the sender disconnected
        return block

    def abort(self, seconds: float) -> None:
        """End the body after its time limit, which wakes a waiting reader. Called outside of the request context."""
        self._error_message = f"the upload took longer than {seconds:g} s"
        if self._socket:
            with suppress(OSError):  # already closed
                self._socket.shutdown(socket.SHUT_RD)


@contextmanager
def open_body(request: Request, max_bytes: int, seconds: float) -> Iterator[UploadBody]:
    """The body, which is aborted if the block runs for longer than ``seconds``."""
    body = UploadBody(request, max_bytes)
    timer = threading.Timer(seconds, body.abort, [seconds])  # a greenlet under gunicorn
    timer.daemon = True
    timer.start()
    try:
        yield body
    finally:
        timer.cancel()
