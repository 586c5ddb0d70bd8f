"""How an answer is sent: complete, as a timed stream, or aborted as the directive asks.

Every wait ends with CancelledError or ConnectionError as soon as the client disconnects.
"""

import asyncio
import socket
import struct
from dataclasses import replace
from typing import Protocol

from aiohttp import web

from local.offline_model import wire
from local.offline_model.answers import Answer
from local.offline_model.calls import TrackedCall
from local.offline_model.directive import Directive
from local.offline_model.framing import DONE, Framing, content_type, frame
from openai_format.types import JsonObject

# Tokens written before other streams continue, about 60 kB.
_BURST_TOKENS = 256
_BAD_CHUNK = b"zz\r\nno length of a chunk\r\n"
_RESET_AT_CLOSE = struct.pack("ii", 1, 0)
_GARBAGE = {
    1: ("application/json", '{"id": "chatcmpl-1", "choices": [{"ind'),
    2: ("application/json", '{"unexpected": true}'),
    3: ("text/html", "<html><body>Please sign in to this network.</body></html>"),
}


class StreamEncoder(Protocol):
    """The parts of a stream, in the format of one API."""

    def start(self) -> bytes: ...
    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes: ...
    def end(self, answer: Answer) -> bytes: ...


async def send_json(
    request: web.Request, call: TrackedCall, body: JsonObject, answer: Answer, directive: Directive
) -> web.Response:
    """The answer as one JSON body, sent after the time that a stream would take."""
    await inject_fault(request, call, directive)
    if directive.error_after is not None:
        return wire.json_response(wire.late_error(directive))
    await asyncio.sleep(directive.interval_seconds * max(0, len(answer.tokens) - 1))
    return wire.json_response(body)


async def send_stream(
    request: web.Request, call: TrackedCall, encoder: StreamEncoder, answer: Answer, directive: Directive
) -> web.StreamResponse:
    """The answer as server-sent events, one per token."""
    framing = directive.framing
    response = await _open_stream(request, framing)
    await _write(response, encoder.start(), framing)
    tokens = answer.tokens[: directive.fault_after]
    await _write_tokens(response, encoder, tokens, directive)
    await inject_fault(request, call, directive)
    if directive.end_after is not None:
        await response.write_eof()
    elif directive.error_after is not None:
        await response.write_eof(wire.event(wire.late_error(directive)).encode())
    else:
        is_left_out = framing is Framing.NO_FINISH
        await _write(
            response, encoder.end(replace(answer, finish_reason=None) if is_left_out else answer), framing, is_end=True
        )
        await response.write_eof()
    call.finish()
    return response


async def send_garbage(request: web.Request, kind: int, *, is_stream: bool) -> web.StreamResponse:
    """Status 200 with a body that no client can use."""
    content_type, text = _GARBAGE[kind]
    if not is_stream or content_type == "text/html":
        return web.Response(text=text, content_type=content_type)
    response = await _open_stream(request)
    await response.write_eof(f"data: {text}\n\n".encode() + DONE)
    return response


async def inject_fault(request: web.Request, call: TrackedCall, directive: Directive) -> None:
    """Stall or break the connection if the directive asks for it. Does not return in that case."""
    if directive.stall_after is not None:
        await _wait_for_disconnect()
    if directive.bad_chunk_after is not None and request.transport is not None:
        request.transport.write(_BAD_CHUNK)
    if directive.cut_after is not None or directive.bad_chunk_after is not None:
        await _close_connection(request, call)
    if directive.reset_after is not None:
        await _reset_connection(request, call)


async def _open_stream(request: web.Request, framing: Framing | None = None) -> web.StreamResponse:
    headers = {"Content-Type": content_type(framing), "Cache-Control": "no-cache", **wire.request_id()}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    return response


async def _write(response: web.StreamResponse, events: bytes, framing: Framing | None, *, is_end: bool = False) -> None:
    for piece in frame(events, framing, is_end=is_end):
        await response.write(piece)


async def _write_tokens(
    response: web.StreamResponse, encoder: StreamEncoder, tokens: tuple[str, ...], directive: Directive
) -> None:
    """Token i is due i intervals after the first. Overdue tokens are written together.

    One write costs about the same for one token as for ten. Under CPU pressure the stream therefore falls behind by
    some milliseconds and not further.
    """
    loop, interval_seconds = asyncio.get_running_loop(), directive.interval_seconds
    started_at, sent = loop.time(), 0
    while sent < len(tokens):
        due = min(_tokens_due(loop.time() - started_at, interval_seconds, sent), sent + _BURST_TOKENS, len(tokens))
        await _write(response, encoder.encode_tokens(tokens[sent:due]), directive.framing)
        sent = due
        if sent < len(tokens):
            await asyncio.sleep(started_at + sent * interval_seconds - loop.time())


def _tokens_due(elapsed_seconds: float, interval_seconds: float, sent: int) -> int:
    """The number of tokens due, at least one more than were sent: the caller has waited for that one."""
    if interval_seconds == 0:
        return sent + _BURST_TOKENS
    return max(sent + 1, int(elapsed_seconds / interval_seconds) + 1)


async def _wait_for_disconnect() -> None:
    await asyncio.get_running_loop().create_future()


async def _close_connection(request: web.Request, call: TrackedCall) -> None:
    """Close the connection mid-answer. Bytes already written still arrive, and tests count them."""
    call.finish()
    if request.transport is not None:
        request.transport.close()
    await _wait_for_disconnect()


async def _reset_connection(request: web.Request, call: TrackedCall) -> None:
    """Reset the connection mid-answer, as a process does that dies. Bytes on their way may be lost."""
    call.finish()
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        request.transport.abort()
    await _wait_for_disconnect()
