"""The body of a request on its way in: read block by block, bounded in size and in time, and whole or refused."""

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

FORM_OVERHEAD_BYTES: Final = 64 * 1024  # of a form: boundaries, headers and small fields beside the file


class UploadBody:
    """Reads as a file; b"" at its end. Raises DocumentTooLarge, and MalformedUpload for one that ends early."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._read_bytes = 0
        self._request = request
        self._socket = request.environ.get(SOCKET_KEY)  # another server has to bound the time itself
        self._error_message = "the upload ended early, or is malformed"
        request.max_content_length = max_bytes + FORM_OVERHEAD_BYTES

    def read(self, size: int, /) -> bytes:
        try:
            block = self._request.stream.read(size)
        except RequestEntityTooLarge:
            raise DocumentTooLarge(f"a document may have at most {self._max_bytes} bytes") from None
        except Exception:  # noqa: BLE001  # each server has errors of its own for what it cannot read
            raise MalformedUpload(self._error_message) from None
        self._read_bytes += len(block)
        if not block and self._read_bytes < (self._request.content_length or 0):
            raise MalformedUpload(self._error_message)  # a server may end the body where its sender left
        return block

    def abort(self, seconds: float) -> None:
        """Its time is up: whoever waits for more of it gets to its end. Called outside of the request's context."""
        self._error_message = f"the upload took longer than {seconds:g} s"
        if self._socket:
            with suppress(OSError):  # it is closed already
                self._socket.shutdown(socket.SHUT_RD)


@contextmanager
def open_body(request: Request, max_bytes: int, seconds: float) -> Iterator[UploadBody]:
    """The body, cut off when the block is busy with it for longer than this."""
    body = UploadBody(request, max_bytes)
    timer = threading.Timer(seconds, body.abort, [seconds])  # a greenlet, where gunicorn runs greenlets
    timer.daemon = True
    timer.start()
    try:
        yield body
    finally:
        timer.cancel()
