"""The provider adapter: the openai SDK against any compatible server, one client for each process.

The SDK's transport, authentication and errors are used; its pydantic objects are not: building them costs about as
much CPU as the rest of a call. Its retries are off: the job core decides on attempts.
"""

import array
import asyncio
import base64
import math
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from jobs.models import ChatTask, EmbeddingsAnswer, EmbeddingsTask, Usage
from jobs.settings import Settings
from tasks.patience import Patience
from tasks.provider_errors import broken, stream_cut, translated

_EVENT_STREAM: Final = "text/event-stream"
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
        with translated(patience):
            async with (
                asyncio.timeout_at(min(end, loop.time() + patience.first_token)) as silence,
                aclosing(self._stream(_chat_body(request, self._settings.chat_model))) as pieces,
            ):
                async for piece in pieces:
                    if piece.text:
                        silence.reschedule(min(end, loop.time() + patience.idle))
                    yield piece

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

    async def _stream(self, body: dict[str, Any]) -> AsyncGenerator[Piece, None]:
        stream = await self._client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )
        has_ended = False
        async with stream:
            if _EVENT_STREAM not in stream.response.headers.get("content-type", ""):
                raise broken()
            halves = Halves()
            async for chunk in stream:
                piece = _read_chunk(chunk, halves)
                has_ended = has_ended or piece.finish_reason is not None
                yield piece
        if not has_ended:
            raise stream_cut()


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
