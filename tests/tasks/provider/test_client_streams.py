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


def ask(*writes, head=HEAD, stays_open=False, then=None, resets=False, **values):
    """The answer's text from a server that sends these bytes.

    ``stays_open``: it waits for us to disconnect. ``then``: it sends these bytes once the text `hello` has been read.
    ``resets``: it breaks the connection.
    """

    async def run():
        disconnected, has_read = asyncio.Event(), asyncio.Event()

        async def serve(reader, writer):
            request = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in request.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            for data in (head.encode() + b"\r\n", *writes):
                writer.write(data)
                await writer.drain()
            if then is not None:
                await has_read.wait()
                writer.write(then)
            if stays_open:
                await reader.read()
                disconnected.set()
            writer.transport.abort() if resets else writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            provider = Providers(
                Settings(OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1", OPENAI_API_KEY="sk-x", **values)
            )
            try:
                async with aclosing(provider.chat(ChatTask(kind="chat", message="hi"), TIMEOUTS)) as deltas:
                    text = ""
                    async for delta in deltas:
                        text += delta.text
                        has_read.set() if text == "hello" else None
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


WORDS = HELLO[:2]
PLAIN_HEAD = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
NAN = 'data: {"choices": [], "usage": {"prompt_tokens": NaN, "completion_tokens": 1e999}}'


@pytest.mark.parametrize(
    "after",
    [
        ["data: {"],
        ['data: {"error": {"code": "server_error", "message": "boom"}}'],
        ['event: error\ndata: {"message": "boom"}'],
        [NAN],
        ["data: null"],
        ["data: [1]", "data: [DONE]"],
    ],
)
def test_nothing_after_the_finish_reason_costs_the_answer(after):
    """The answer is complete and paid for."""
    assert ask(chunked(encode_lines([*HELLO, *after])) + END) == "hello"


@pytest.mark.parametrize("framing", [b"", b"zz\r\nnonsense\r\n", b"5\r\nab", b"\x00\xff"])
@pytest.mark.parametrize("resets", [True, False])
def test_a_connection_that_breaks_after_the_finish_reason_keeps_the_answer(framing, resets):
    """Its usage is estimated; a second call would be paid for again."""
    assert ask(chunked(encode_lines(HELLO)), then=framing, resets=resets) == "hello"


@pytest.mark.parametrize("framing", [b"", b"zz\r\nnonsense\r\n", b"5\r\nab", b"\x00\xff"])
@pytest.mark.parametrize("resets", [True, False])
def test_a_connection_that_breaks_before_the_finish_reason_is_noticed_immediately(framing, resets):
    """It must not wait for a timeout, and is retried like any cut stream."""
    started_at = time.monotonic()
    with pytest.raises(ProviderRetryable) as failed:
        ask(chunked(encode_lines(WORDS)), then=framing, resets=resets)

    assert failed.value.code == "provider_stream_cut"
    assert time.monotonic() - started_at < TIMEOUTS.idle


def test_done_ends_an_answer_without_a_finish_reason():
    """Ollama and some proxies send no finish reason."""
    assert ask(chunked(encode_lines([*WORDS, "data: [DONE]"])) + END) == "hello"


@pytest.mark.parametrize("end", [b"\n", b"", b"\r\n"])
def test_the_last_event_needs_no_empty_line(end):
    """The finish reason is read although its event is not terminated."""
    body = encode_lines(WORDS) + HELLO[2].encode() + end

    assert ask(chunked(body) + END) == "hello"


CONTENT_TYPES = ["text/plain; charset=utf-8", "Text/Event-Stream", "application/json", "application/x-ndjson", ""]
COMPLETION = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}],
}
BODIES = {
    "events": encode_lines([*HELLO, "data: [DONE]"]),
    "a byte order mark": b"\xef\xbb\xbf" + encode_lines(HELLO),
    "events without empty lines": "".join(f"{line}\n" for line in [*HELLO, "data: [DONE]"]).encode(),
    "JSON": json.dumps(COMPLETION).encode(),
    "indented JSON": json.dumps(COMPLETION, indent=2).encode() + b"\n",
    "lines of JSON": "".join(f"{line[6:]}\n" for line in HELLO).encode(),
    "a message for a delta": b"data: " + json.dumps(COMPLETION).encode() + b"\n\n",
}


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_the_bytes_of_an_answer_decide_and_not_its_content_type(content_type, body):
    """Some servers send another type, no type, or no stream at all."""
    head = PLAIN_HEAD + (f"Content-Type: {content_type}\r\n" if content_type else "")

    assert ask(chunked(body) + END, head=head) == "hello"
    assert ask(*[chunked(body[at : at + 1]) for at in range(len(body))], END, head=head) == "hello"


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"Welcome to the network", b"[1, 2]"])
def test_a_body_that_is_no_answer_is_broken(body):
    """A login page, for example, is no temporary fault."""
    with pytest.raises(ProviderBroken):
        ask(chunked(body) + END)


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"error": {"code": "context_length_exceeded"}}, ProviderRejected, "provider_rejected_request"),
        ({"error": {"code": "429", "message": "slow down"}}, ProviderRetryable, "provider_rate_limited"),
        ({"error": {"code": 404, "message": "no model"}}, ProviderRejected, "provider_not_found"),
        ({"object": "error", "message": "boom", "code": 500}, ProviderRetryable, "provider_unavailable"),
        (
            {"object": "error", "message": "bad", "type": "BadRequestError", "code": 400},
            ProviderRejected,
            "provider_rejected_request",
        ),
        ({"type": "error", "error": {"type": "invalid_request_error"}}, ProviderRejected, "provider_rejected_request"),
        ({"detail": "overloaded"}, ProviderRetryable, "provider_stream_error"),
        ({"error": "boom"}, ProviderRetryable, "provider_stream_error"),
    ],
    ids=str,
)
def test_an_error_with_the_status_200_is_that_error(error, kind, code):
    """It is the same error as a JSON body, as an event, and as an event that its name marks."""
    encoded = json.dumps(error).encode()
    for body in (encoded, b"data: " + encoded + b"\n\n", b"event: error\ndata: " + encoded + b"\n\n"):
        with pytest.raises(AttemptError) as failed:
            ask(chunked(body) + END, head=PLAIN_HEAD)
        assert (type(failed.value), failed.value.code) == (kind, code)
