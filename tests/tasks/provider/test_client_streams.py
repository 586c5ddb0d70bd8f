"""How a provider's stream may end and be spelt, over a bare socket: servers differ, and the answer must not."""

import asyncio
import json
import time
from contextlib import aclosing

import pytest

from jobs.errors import AttemptError, ProviderBroken, ProviderRejected, ProviderRetryable
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from tasks.provider.client import Provider
from tasks.provider.timeouts import Timeouts

TIMEOUTS = Timeouts(total=10.0, first_token=5.0, idle=5.0)
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
END = b"0\r\n\r\n"


def event(**choice):
    return f"data: {json.dumps({'model': 'm', 'choices': [choice]})}"


HELLO = [event(delta={"content": "hel"}), event(delta={"content": "lo"}), event(delta={}, finish_reason="stop")]


def spelt(lines, line_end="\n"):
    return "".join(f"{line}{line_end}{line_end}" for line in lines).encode()


def chunked(body):
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def ask(*writes, head=HEAD, stays_open=False, **values):
    """The answer's text from a server that sends these bytes; one that stays open, once we have left it."""

    async def run():
        left = asyncio.Event()

        async def serve(reader, writer):
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            for data in (head.encode() + b"\r\n", *writes):
                writer.write(data)
                await writer.drain()
            if stays_open:
                await reader.read()
                left.set()
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            provider = Provider(
                Settings(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1", OPENAI_API_KEY="sk-x", **values)
            )
            try:
                async with aclosing(provider.chat(ChatTask(kind="chat", message="hi"), TIMEOUTS)) as deltas:
                    text = "".join([delta.text async for delta in deltas])
                if stays_open:
                    await asyncio.wait_for(left.wait(), 5)
                return text
            finally:
                await provider.close()

    return asyncio.run(run())


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_an_answer_is_read_whatever_its_line_ends_and_comments(line_end):
    body = spelt([": keep-alive", *HELLO, "data: [DONE]"], line_end)

    assert ask(chunked(body) + END) == "hello"
    assert ask(*[chunked(body[at : at + 1]) for at in range(len(body))], END) == "hello"


def test_an_answer_needs_no_done_when_it_gave_its_reason():
    assert ask(chunked(spelt(HELLO)) + END) == "hello"


def test_a_server_that_stays_open_after_its_last_word_holds_nobody_up():
    """The answer is there at once, and the connection is closed."""
    began_at = time.monotonic()

    assert ask(chunked(spelt([*HELLO, "data: [DONE]"])), stays_open=True) == "hello"
    assert time.monotonic() - began_at < TIMEOUTS.idle


def test_an_answer_that_is_too_long_is_cut_and_its_connection_closed():
    """Nobody waits for the rest, which would be paid for."""
    assert ask(chunked(spelt(HELLO[:2])), stays_open=True, max_answer_chars=4) == "hell"


def test_a_connection_that_breaks_after_the_last_word_costs_no_answer():
    assert ask(chunked(spelt([*HELLO, "data: [DONE]"]))) == "hello"


@pytest.mark.parametrize(
    ("sent", "kind", "code"),
    [
        (spelt(HELLO[:2]), ProviderRetryable, "provider_stream_cut"),
        (spelt(['data: {"error": {"code": "overloaded"}}']), ProviderRetryable, "provider_stream_error"),
        (spelt(['data: {"error": {"code": 503}}']), ProviderRetryable, "provider_unavailable"),
        (
            spelt(['data: {"error": {"code": 400, "type": "BadRequestError"}}']),
            ProviderRejected,
            "provider_rejected_request",
        ),
        (
            spelt(['data: {"error": {"code": "context_length_exceeded"}}']),
            ProviderRejected,
            "provider_rejected_request",
        ),
        (
            spelt(['data: {"type": "error", "error": {"type": "invalid_request_error", "code": null}}']),
            ProviderRejected,
            "provider_rejected_request",
        ),
        (spelt(['data: {"error": {"code": "insufficient_quota"}}']), ProviderRejected, "provider_quota_exceeded"),
        (spelt(['data: {"error": "boom"}']), ProviderRetryable, "provider_stream_error"),
        (spelt(["data: \xff{}"]).replace(b"\xc3\xbf", b"\xff"), ProviderBroken, "provider_broken"),
        (spelt(["data: {"]), ProviderBroken, "provider_broken"),
    ],
    ids=["cut", "error", "status", "fault by status", "fault", "fault by type", "quota", "text", "no text", "no JSON"],
)
def test_a_stream_that_goes_wrong_is_translated(sent, kind, code):
    with pytest.raises(AttemptError) as failed:
        ask(chunked(sent) + END)

    assert (type(failed.value), failed.value.code) == (kind, code)
    assert failed.value.__suppress_context__ or failed.value.__context__ is None


def test_a_body_that_is_not_encoded_as_it_says_is_broken():
    with pytest.raises(ProviderBroken):
        ask(chunked(spelt(HELLO)) + END, head=f"{HEAD}Content-Encoding: gzip\r\n")
