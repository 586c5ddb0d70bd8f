"""The provider adapter: the openai SDK against any compatible server, one client for each process.

The SDK's transport, authentication and errors are used; its pydantic objects and its reading of streams are not: they
cost more CPU than the rest of a call. Its retries are off: the job core decides on attempts.
"""

import array
import asyncio
import base64
import json
import math
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from jobs.answers import EmbeddingsAnswer, Usage
from jobs.requests import ChatTask, EmbeddingsTask
from jobs.settings import Settings
from tasks.patience import Patience
from tasks.provider_errors import broken, stream_cut, translated
from tasks.sse import EventData

_EVENT_STREAM: Final = "text/event-stream"
_DONE: Final = b"[DONE]"
_LAST_BYTES_SECONDS: Final = 0.1  # between the last word and the end of its HTTP message; then the connection is closed
_SPARE_CONNECTIONS: Final = 50  # beyond one for each call in flight


@dataclass(frozen=True)
class Piece:
    """A part of an answer as it streams in. Each field may be absent; the last ones carry reason and usage."""

    text: str = field(default="", repr=False)
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None


class Provider:
    """Belongs to the event loop on which it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        connections = settings.worker_concurrency + _SPARE_CONNECTIONS
        self._client = AsyncOpenAI(
            api_key=settings.provider_api_key.get_secret_value(),
            base_url=settings.provider_base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=settings.provider_connect_seconds),  # the rest is Patience
            http_client=DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
            ),
        )

    async def chat(self, request: ChatTask, patience: Patience) -> AsyncGenerator[Piece, None]:
        """Stream an answer. Ends only after the provider's own last event.

        Raises ProviderRetryable, ProviderRejected or ProviderBroken. Close it (contextlib.aclosing) in the task that
        reads it: that closes the connection.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + patience.total
        reading = Reading()
        with translated(patience), _until_the_last_word(reading):
            async with (
                asyncio.timeout_at(min(end, loop.time() + patience.first_token)) as silence,
                self._answering(_chat_body(request, self._settings.chat_model)) as response,
            ):
                async for received in response.aiter_bytes():
                    for piece in reading.pieces(received):
                        yield piece
                    if reading.has_news:
                        silence.reschedule(min(end, loop.time() + reading.silence_allowed(patience)))
        if not reading.has_reason:
            raise stream_cut()

    async def embed(self, request: EmbeddingsTask, patience: Patience) -> EmbeddingsAnswer:
        """Turn texts into vectors, in order. Raises as ``chat`` does."""
        body: dict[str, Any] = {
            "model": request.model or self._settings.embedding_model,
            "input": list(request.input),
            "encoding_format": "base64",  # a quarter of the bytes of decimal numbers
        }
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        with translated(patience):
            async with asyncio.timeout(patience.total):
                reply = await self._client.post("/embeddings", cast_to=object, body=body)
        return _read_embeddings(reply, len(request.input))

    async def close(self) -> None:
        await self._client.close()

    @asynccontextmanager
    async def _answering(self, body: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
        stream = await self._client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )
        async with stream:
            if _EVENT_STREAM not in stream.response.headers.get("content-type", ""):
                raise broken()
            yield stream.response


def _chat_body(request: ChatTask, default_model: str) -> dict[str, Any]:
    messages = [{"role": turn.role, "content": turn.content} for turn in request.history]
    if request.system is not None:
        messages.insert(0, {"role": "system", "content": request.system})
    messages.append({"role": "user", "content": request.message})
    body: dict[str, Any] = {
        "model": request.model or default_model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.max_output_tokens is not None:
        body["max_completion_tokens"] = request.max_output_tokens
    return body


class Reading:
    """An answer while it is read."""

    def __init__(self) -> None:
        self._events = EventData()
        self._halves = Halves()
        self.has_news = False  # the last read brought text, or the stream's last word
        self.has_reason = False  # the provider has said why it stops
        self.is_over = False  # it has said that nothing follows

    def pieces(self, received: bytes) -> Iterator[Piece]:
        """What one read of the network brought. Raises ProviderBroken, and what the provider says in its stream."""
        self.has_news = False
        for data in () if self.is_over else self._events.feed(received):
            if data.startswith(_DONE):
                self.has_news = self.is_over = True
                return
            piece = _read_chunk(_read_json(data), self._halves)
            self.has_news = self.has_news or piece.text != ""
            self.has_reason = self.has_reason or piece.finish_reason is not None
            yield piece

    def silence_allowed(self, patience: Patience) -> float:
        """In seconds, from now on."""
        return _LAST_BYTES_SECONDS if self.is_over else patience.idle


@contextmanager
def _until_the_last_word(reading: Reading) -> Iterator[None]:
    """After it nothing is lost when the connection fails, or does not end: it only cannot serve another call."""
    try:
        yield
    except (TimeoutError, httpx2.RequestError) as error:
        if reading.is_over:
            return
        if isinstance(error, httpx2.DecodingError):
            raise broken() from None
        raise


class Halves:
    """Mends characters outside the basic plane that a provider has cut in two: half in one chunk, half in the next.

    A half that stays alone becomes U+FFFD: it is no text, and neither UTF-8 nor Redis would take it.
    """

    def __init__(self) -> None:
        self._kept = ""

    def join(self, text: str) -> str:
        whole = self._kept + text
        self._kept = whole[-1] if whole and "\ud800" <= whole[-1] <= "\udbff" else ""
        return mended(whole[: len(whole) - len(self._kept)])


def mended(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _read_json(data: bytes) -> Any:
    """Raises what the SDK raises for an error that a provider reports in mid-stream."""
    said = json.loads(data.decode())
    if isinstance(said, dict) and said.get("error"):
        raise openai.APIError("", httpx2.Request("POST", ""), body=said["error"])
    return said


def _read_chunk(chunk: Any, halves: Halves) -> Piece:
    try:
        choices = chunk["choices"]
        choice = choices[0] if choices else {}
        return Piece(
            text=halves.join(_read_text((choice.get("delta") or {}).get("content")) or ""),
            finish_reason=_read_text(choice.get("finish_reason")),
            usage=_read_usage(chunk.get("usage")),
            model=mended(_read_text(chunk.get("model")) or "") or None,
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, OverflowError):
        raise broken() from None


def _read_text(value: Any) -> str | None:
    """Text or nothing. Raises TypeError for anything else."""
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _read_usage(usage: Any) -> Usage | None:
    if not usage:
        return None
    given, made = int(usage["prompt_tokens"]), int(usage.get("completion_tokens", 0))
    return Usage(input_tokens=given, output_tokens=made, total_tokens=int(usage.get("total_tokens", given + made)))


def _read_embeddings(reply: Any, count: int) -> EmbeddingsAnswer:
    try:
        rows = sorted(reply["data"], key=lambda row: row["index"])
        vectors = tuple(_read_vector(row["embedding"]) for row in rows)
        if len(vectors) != count:
            raise broken()
        usage = _read_usage(reply.get("usage"))
        return EmbeddingsAnswer(vectors=vectors, model=_read_text(reply.get("model")), usage=usage)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        raise broken() from None


def _read_vector(value: Any) -> tuple[float, ...]:
    """A vector as base64 of little-endian float32, or, from servers that ignore the request, as numbers."""
    if isinstance(value, str):
        numbers = array.array("f", base64.b64decode(value))
        if sys.byteorder == "big":
            numbers.byteswap()
    else:
        numbers = array.array("d", map(float, value))
    if not all(map(math.isfinite, numbers)):  # JSON has no word for them
        raise ValueError
    return tuple(numbers)
