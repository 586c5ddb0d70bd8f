"""Notices a connection that closes while its response is being read.

When the framing of a body is broken, aiohttp closes the connection but does not notify the reader of the body, which
would wait until its timeout.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import httpx2


@contextmanager
def fail_when_closed(response: httpx2.Response) -> Iterator[None]:
    """While the block runs, reading the response fails with httpx2.ReadError as soon as its connection is closed."""
    reply = _aiohttp_response(response)
    closed = reply.connection.protocol.closed if reply is not None and reply.connection else None
    if closed is None:  # the whole body has arrived
        yield
        return

    def notify_reader(_closed: asyncio.Future[None]) -> None:
        if not reply.content.is_eof() and reply.content.exception() is None:
            reply.content.set_exception(aiohttp.ClientPayloadError("the connection was closed"))

    closed.remove_done_callback(_retrieve_exception)  # of an earlier response of the same connection
    closed.add_done_callback(_retrieve_exception)
    closed.add_done_callback(notify_reader)
    try:
        yield
    finally:
        closed.remove_done_callback(notify_reader)


def _aiohttp_response(response: httpx2.Response) -> Any:
    """The response below the layers of httpx2 and of the SDK's transport, which do not publish it."""
    stream: Any = response.stream
    while stream is not None and not hasattr(stream, "_aiohttp_response"):
        stream = getattr(stream, "_stream", None)
    return getattr(stream, "_aiohttp_response", None)


def _retrieve_exception(closed: asyncio.Future[None]) -> None:
    """Otherwise asyncio would log it as never retrieved."""
    if not closed.cancelled():
        closed.exception()
