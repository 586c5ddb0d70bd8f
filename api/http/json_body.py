"""Reads a JSON body within limits: its size, the time to receive it, and the bytes of all bodies of this process.

The limits hold for a compressed body twice: as it is received, and without its Content-Encoding. Images and files in
the body have a limit of their own: they are one text each, and cost little to read.
"""

import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import SHUT_RD, socket
from typing import Final, cast

from flask import Flask, Request, current_app, g
from gevent import Timeout
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.content_encoding import Decode, decoder
from api.http.disconnect import SOCKET_KEY
from api.http.embedded_files import bytes_without_files
from guards.silent_connections import silent_connections
from jobs.errors import BodyTimeout, BodyTooLarge, MalformedJson, ServerBusy
from jobs.settings import Settings

_BLOCK_BYTES: Final = 64 * 1024  # a body of at most one block is not counted: all connections together are bounded
_EXTENSION: Final = "chatqueue_bodies"
_RETRY_AFTER_SECONDS: Final = 1.0


@dataclass
class BodyBudget:
    """The bytes of the large bodies that this process holds now.

    ``max_bytes``: of all bodies. ``max_body_bytes``: of one body without the images and files in it.
    """

    max_bytes: int
    max_body_bytes: int
    seconds: float
    held_bytes: int = 0

    def take(self, size: int) -> None:
        """Count bytes until the end of the request. Raises ServerBusy."""
        if self.held_bytes + size > self.max_bytes:
            raise ServerBusy(
                "too many large requests at present; retry later", retry_after_seconds=_RETRY_AFTER_SECONDS
            )
        self.held_bytes += size
        g.body_bytes = g.get("body_bytes", 0) + size

    def release(self, _error: BaseException | None = None) -> None:
        """Called at the end of each request."""
        if self.held_bytes:
            self.held_bytes -= g.pop("body_bytes", 0)


def install(app: Flask, settings: Settings) -> None:
    """Give the app its budget."""
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes + settings.max_body_files_bytes
    budget = BodyBudget(settings.max_bodies_bytes, settings.max_body_bytes, settings.body_seconds)
    app.extensions[_EXTENSION] = budget
    app.teardown_request(budget.release)


def read_json_body(request: Request) -> bytes:
    """The raw body, without its Content-Encoding.

    Raises MalformedJson if it is cut off or cannot be decompressed, UnsupportedMediaType for an unknown encoding,
    BodyTooLarge, BodyTimeout and ServerBusy.
    """
    budget = cast("BodyBudget", current_app.extensions[_EXTENSION])
    connection = request.environ.get(SOCKET_KEY)
    # Servers other than gunicorn must limit the time themselves.
    body = _read(request, budget) if connection is None else _read_in_time(request, budget, connection)
    _check_size(body, budget.max_body_bytes)
    g.json_body = body
    return body


def _check_size(body: bytes, max_bytes: int) -> None:
    """Raises BodyTooLarge for a JSON body that is too large without the images and files in it."""
    if len(body) > max_bytes and bytes_without_files(body) > max_bytes:
        raise BodyTooLarge(
            f"the body must have at most {max_bytes} bytes, not counting images, files and audio in base64"
        )


def raw_body() -> bytes:
    """The body of this request, once it has been read."""
    return cast("bytes", g.json_body)


def _read(request: Request, budget: BodyBudget) -> bytes:
    decode = decoder(request.content_encoding)
    return _receive(request, budget) if decode is None else _read_decoded(request, budget, decode)


def _receive(request: Request, budget: BodyBudget) -> bytes:
    size = request.content_length
    try:
        if size is not None and size <= min(_BLOCK_BYTES, current_app.config["MAX_CONTENT_LENGTH"]):
            body: bytes = request.environ["wsgi.input"].read(size)
            return body
        return _read_blocks(request, budget)
    except (BodyTooLarge, ServerBusy, RequestEntityTooLarge):
        raise
    except Exception:  # noqa: BLE001  # each server raises its own errors for an unreadable body
        raise MalformedJson("the chunked encoding of the body is malformed, or the body ended early") from None


def _read_blocks(request: Request, budget: BodyBudget) -> bytes:
    stream = request.stream
    blocks: list[bytes] = []
    while block := stream.read(_BLOCK_BYTES):
        if blocks:
            budget.take(len(block))
        blocks.append(block)
    body = b"".join(blocks)
    if request.content_length is None and stream.read(1):  # werkzeug would silently cut it off
        raise BodyTooLarge("the body is too large")
    return body


def _read_decoded(request: Request, budget: BodyBudget, decode: Decode) -> bytes:
    max_bytes = request.max_content_length or sys.maxsize
    blocks: list[bytes] = []
    size = 0
    for block in decode(_receive(request, budget)):
        size += len(block)
        if size > max_bytes:
            raise BodyTooLarge(f"the decompressed body must have at most {max_bytes} bytes")
        if blocks:
            budget.take(len(block))
        blocks.append(block)
        time.sleep(0)  # lets gevent serve other requests, and end this one when its time is over
    return b"".join(blocks)


def _read_in_time(request: Request, budget: BodyBudget, connection: socket) -> bytes:
    """Ends the reading after the time, and the connection with it: where its next request begins is unknown."""
    timeout = Timeout.start_new(budget.seconds)
    wait = silent_connections.begin(connection)
    try:
        return _read(request, budget)
    except Timeout as error:
        if error is not timeout:
            raise
        with suppress(OSError):  # already closed
            connection.shutdown(SHUT_RD)
        raise BodyTimeout(f"the body did not arrive within {budget.seconds:g} s") from None
    finally:
        silent_connections.end(wait)
        timeout.close()
