"""Reads a JSON body within limits: its size, the time to receive it, and the bytes of all bodies of this process.

The limits hold for a compressed body twice: as it is received, and without its Content-Encoding.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import SHUT_RD
from typing import Final, cast

from flask import Flask, Request, current_app, g
from gevent import Timeout
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.content_encoding import Decode, decoder
from api.http.disconnect import SOCKET_KEY
from guards.silent_connections import silent_connections
from jobs.errors import BodyTimeout, BodyTooLarge, MalformedJson, ServerBusy
from jobs.settings import Settings

_BLOCK_BYTES: Final = 64 * 1024  # a body of at most one block is not counted: all connections together are bounded
_EXTENSION: Final = "chatqueue_bodies"
_RETRY_AFTER_SECONDS: Final = 1.0


@dataclass
class BodyBudget:
    """The bytes of the large bodies that this process holds now."""

    max_bytes: int
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
        self.held_bytes -= g.pop("body_bytes", 0)


def install(app: Flask, settings: Settings) -> None:
    """Give the app its budget."""
    budget = BodyBudget(settings.max_bodies_bytes, settings.body_seconds)
    app.extensions[_EXTENSION] = budget
    app.teardown_request(budget.release)


def read_json_body(request: Request) -> bytes:
    """The raw body, without its Content-Encoding.

    Raises MalformedJson if it is cut off or cannot be decompressed, UnsupportedMediaType for an unknown encoding,
    BodyTooLarge, BodyTimeout and ServerBusy.
    """
    budget = cast("BodyBudget", current_app.extensions[_EXTENSION])
    decode = decoder(request.content_encoding)
    with _time_limit(request, budget.seconds):
        try:
            body = _read(request, budget)
        except (BodyTooLarge, ServerBusy, RequestEntityTooLarge):
            raise
        except Exception:  # noqa: BLE001  # each server raises its own errors for an unreadable body
            raise MalformedJson("the chunked encoding of the body is malformed, or the body ended early") from None
        max_bytes = request.max_content_length or sys.maxsize
        g.json_body = body if decode is None else _decompress(body, decode, max_bytes, budget)
    return raw_body()


def raw_body() -> bytes:
    """The body of this request, once it has been read."""
    return cast("bytes", g.json_body)


def _read(request: Request, budget: BodyBudget) -> bytes:
    stream = request.stream
    blocks: list[bytes] = []
    while block := stream.read(_BLOCK_BYTES):
        if blocks:
            budget.take(len(block))
        blocks.append(block)
    body = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    if request.content_length is None and stream.read(1):  # werkzeug would silently cut it off
        raise BodyTooLarge("the body is too large")
    return body


def _decompress(body: bytes, decode: Decode, max_bytes: int, budget: BodyBudget) -> bytes:
    blocks: list[bytes] = []
    size = 0
    for block in decode(body):
        size += len(block)
        if size > max_bytes:
            raise BodyTooLarge(f"the decompressed body must have at most {max_bytes} bytes")
        if blocks:
            budget.take(len(block))
        blocks.append(block)
        time.sleep(0)  # lets gevent serve other requests, and end this one when its time is over
    return b"".join(blocks)


@contextmanager
def _time_limit(request: Request, seconds: float) -> Iterator[None]:
    """Ends the reading after the time, and the connection with it: where its next request begins is unknown.

    Other servers than gunicorn must limit the time themselves.
    """
    connection = request.environ.get(SOCKET_KEY)
    if connection is None:
        yield
        return
    timeout = Timeout.start_new(seconds)
    try:
        with silent_connections.awaiting(connection):
            yield
    except Timeout as error:
        if error is not timeout:
            raise
        with suppress(OSError):  # already closed
            connection.shutdown(SHUT_RD)
        raise BodyTimeout(f"the body did not arrive within {seconds:g} s") from None
    finally:
        timeout.close()
