"""Servers write and end their streams differently, here over a bare socket; the answer must be the same."""

import asyncio
import json
import time
from contextlib import aclosing

import pytest

from jobs.errors import AttemptError, ProviderBroken, ProviderRejected, ProviderRetryable
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from tasks.provider.providers import Providers
from tasks.provider.timeouts import Timeouts

TIMEOUTS = Timeouts(total=10.0, first_token=5.0, idle=5.0)
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"


def event(**choice):
    return f"data: {json.dumps({'model': 'm', 'choices': [choice]})}"


HELLO = [event(delta={"content": "hel"}), event(delta={"content": "lo"}), event(delta={}, finish_reason="stop")]


def encode_lines(lines, line_end="\n"):
    return "".join(f"{line}{line_end}{line_end}" for line in lines).encode()


def chunked(body):
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def ask(*writes, head=HEAD, stays_open=False, **values):
    """The answer's text from a server that sends these bytes. ``stays_open``: it waits for us to disconnect."""

    async def run():
        disconnected = asyncio.Event()

        async def serve(reader, writer):
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            for data in (head.encode() + b"\r\n", *writes):
                writer.write(data)
                await writer.drain()
            if stays_open:
                await reader.read()
                disconnected.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            provider = Providers(
                Settings(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1", OPENAI_API_KEY="sk-x", **values)
            )
            try:
                async with aclosing(provider.chat(ChatTask(kind="chat", message="hi"), TIMEOUTS)) as deltas:
                    text = "".join([delta.text async for delta in deltas])
                if stays_open:
                    await asyncio.wait_for(disconnected.wait(), 5)
                return text
            finally:
                await provider.close()

    return asyncio.run(run())


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_answer_does_not_depend_on_line_ends_comments_or_chunk_sizes(line_end):
    """Servers differ in all three, and none of them may change the answer."""
    body = encode_lines([": keep-alive", *HELLO, "data: [DONE]"], line_end)

    assert ask(chunked(body) + END) == "hello"
    assert ask(*[chunked(body[at : at + 1]) for at in range(len(body))], END) == "hello"


def test_an_answer_with_a_finish_reason_needs_no_done_event():
    """Some servers end the stream without [DONE]."""
    assert ask(chunked(encode_lines(HELLO)) + END) == "hello"


def test_a_connection_left_open_after_the_last_event_does_not_delay_the_answer():
    """The answer is complete immediately, and we close the connection."""
    started_at = time.monotonic()

    assert ask(chunked(encode_lines([*HELLO, "data: [DONE]"])), stays_open=True) == "hello"
    assert time.monotonic() - started_at < TIMEOUTS.idle


def test_an_answer_beyond_the_limit_is_cut_and_its_connection_closed():
    """Waiting for the rest would cost money."""
    assert ask(chunked(encode_lines(HELLO[:2])), stays_open=True, max_answer_chars=4) == "hell"


def test_a_connection_that_breaks_after_the_last_event_keeps_the_answer():
    """The answer is complete: a retry would pay for it again."""
    assert ask(chunked(encode_lines([*HELLO, "data: [DONE]"]))) == "hello"


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (encode_lines(HELLO[:2]), ProviderRetryable, "provider_stream_cut"),
        (encode_lines(['data: {"error": {"code": "overloaded"}}']), ProviderRetryable, "provider_stream_error"),
        (encode_lines(['data: {"error": {"code": 503}}']), ProviderRetryable, "provider_unavailable"),
        (
            encode_lines(['data: {"error": {"code": 400, "type": "BadRequestError"}}']),
            ProviderRejected,
            "provider_rejected_request",
        ),
        (
            encode_lines(['data: {"error": {"code": "context_length_exceeded"}}']),
            ProviderRejected,
            "provider_rejected_request",
        ),
        (
            encode_lines(['data: {"type": "error", "error": {"type": "invalid_request_error", "code": null}}']),
            ProviderRejected,
            "provider_rejected_request",
        ),
        (
            encode_lines(['data: {"error": {"code": "insufficient_quota"}}']),
            ProviderRejected,
            "provider_quota_exceeded",
        ),
        (encode_lines(['data: {"error": "boom"}']), ProviderRetryable, "provider_stream_error"),
        (encode_lines(["data: \xff{}"]).replace(b"\xc3\xbf", b"\xff"), ProviderBroken, "provider_broken"),
        (encode_lines(["data: {"]), ProviderBroken, "provider_broken"),
    ],
    ids=["cut", "error", "status", "fault by status", "fault", "fault by type", "quota", "text", "no text", "no JSON"],
)
def test_each_fault_in_a_stream_is_translated(body, kind, code):
    """The error has a stable code and does not chain the original, which may hold the prompt."""
    with pytest.raises(AttemptError) as failed:
        ask(chunked(body) + END)

    assert (type(failed.value), failed.value.code) == (kind, code)
    assert failed.value.__suppress_context__ or failed.value.__context__ is None


def test_a_body_with_a_false_content_encoding_is_broken():
    """An undecodable body is a fault of the provider, not a crash of the worker."""
    with pytest.raises(ProviderBroken):
        ask(chunked(encode_lines(HELLO)) + END, head=f"{HEAD}Content-Encoding: gzip\r\n")
