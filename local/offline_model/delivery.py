"""How an answer leaves: whole, as a stream in its own time, or broken off as the prompt ordered.

Each wait in here ends with CancelledError or ConnectionError as soon as the client has left.
"""

import asyncio
from typing import Any, Protocol

from aiohttp import web

from local.offline_model import wire
from local.offline_model.answers import Answer
from local.offline_model.calls import TrackedCall
from local.offline_model.directive import Directive

# Tokens written before other streams get their turn, about 60 kB.
_BURST_TOKENS = 256
_SSE_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
_GARBAGE = {
    1: ("application/json", '{"id": "chatcmpl-1", "choices": [{"ind'),
    2: ("application/json", '{"unexpected": true}'),
    3: ("text/html", "<html><body>Please sign in to this network.</body></html>"),
}


class StreamEncoder(Protocol):
    """The pieces of a stream, in one shape or the other."""

    def start(self) -> bytes: ...
    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes: ...
    def end(self, answer: Answer) -> bytes: ...


async def send_json(
    request: web.Request, call: TrackedCall, body: dict[str, Any], answer: Answer, directive: Directive
) -> web.Response:
    """The answer as one JSON body, after the time that its stream would take."""
    await inject_fault(request, call, directive)
    await asyncio.sleep(directive.interval_seconds * max(0, len(answer.tokens) - 1))
    return wire.json_response(body)


async def send_stream(
    request: web.Request, call: TrackedCall, encoder: StreamEncoder, answer: Answer, directive: Directive
) -> web.StreamResponse:
    """The answer as server-sent events, one a token."""
    response = await _open_stream(request)
    await response.write(encoder.start())
    await _write_tokens(response, encoder, answer.tokens[: directive.fault_after], directive.interval_seconds)
    await inject_fault(request, call, directive)
    await response.write_eof(encoder.end(answer) if directive.end_after is None else b"")
    call.finish()
    return response


async def send_garbage(request: web.Request, kind: int, *, is_stream: bool) -> web.StreamResponse:
    """200, and nothing that a client can use."""
    content_type, text = _GARBAGE[kind]
    if not is_stream or content_type == "text/html":
        return web.Response(text=text, content_type=content_type)
    response = await _open_stream(request)
    await response.write_eof(f"data: {text}\n\n".encode() + wire.DONE)
    return response


async def inject_fault(request: web.Request, call: TrackedCall, directive: Directive) -> None:
    """Stall or cut, if that is ordered: then it does not return."""
    if directive.stall_after is not None:
        await _wait_for_disconnect()
    if directive.cut_after is not None:
        await _close_connection(request, call)


async def _open_stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={**_SSE_HEADERS, **wire.request_id()})
    await response.prepare(request)
    return response


async def _write_tokens(
    response: web.StreamResponse, encoder: StreamEncoder, tokens: tuple[str, ...], interval_seconds: float
) -> None:
    """Token i is due i intervals after the first. Tokens that are overdue are written together.

    So a server that is short of CPU falls behind by some milliseconds and not further: one write costs
    much the same for one token as for ten.
    """
    loop = asyncio.get_running_loop()
    started_at, sent = loop.time(), 0
    while sent < len(tokens):
        due = min(_tokens_due(loop.time() - started_at, interval_seconds, sent), sent + _BURST_TOKENS, len(tokens))
        await response.write(encoder.encode_tokens(tokens[sent:due]))
        sent = due
        if sent < len(tokens):
            await asyncio.sleep(started_at + sent * interval_seconds - loop.time())


def _tokens_due(elapsed_seconds: float, interval_seconds: float, sent: int) -> int:
    """How many tokens should have been written; at least one more, since its time was waited for."""
    if interval_seconds == 0:
        return sent + _BURST_TOKENS
    return max(sent + 1, int(elapsed_seconds / interval_seconds) + 1)


async def _wait_for_disconnect() -> None:
    await asyncio.get_running_loop().create_future()


async def _close_connection(request: web.Request, call: TrackedCall) -> None:
    """Close the connection under the answer. What was written before still arrives: a test counts it."""
    call.finish()
    if request.transport is not None:
        request.transport.close()
    await _wait_for_disconnect()
