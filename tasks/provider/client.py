"""The provider adapter: the openai SDK against any compatible server, one client for each process.

The SDK's transport, authentication and errors are used; its pydantic objects and its reading of streams are not: they
cost more CPU than the rest of a call. Its retries are off: the job core decides on attempts.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final, Literal

import httpx2
from openai import APIStatusError, AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from jobs import vectors
from jobs.requests import Conversation, EmbeddingsTask, ResponseTask
from jobs.results import EmbeddingsAnswer
from jobs.settings import Settings
from tasks.provider.errors import broken, lacks, stream_cut, translated
from tasks.provider.formats.delta import NONSENSE, Piece, Reader, clean, read_text, read_usage
from tasks.provider.formats.route import Call, completion_call, response_call
from tasks.provider.limits import read_event
from tasks.provider.sse import EventData
from tasks.provider.timeouts import Patience

_EVENT_STREAM: Final = "text/event-stream"
_DONE: Final = b"[DONE]"
_LAST_BYTES_SECONDS: Final = 0.1  # between the last word and the end of its HTTP message; then the connection is closed
_LIST_SECONDS: Final = 10.0
_SPARE_CONNECTIONS: Final = 50  # beyond one for each call in flight


class Provider:
    """Belongs to the event loop on which it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._speaks: Literal["auto", "responses", "chat"] = settings.upstream
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

    async def chat(self, request: Conversation, patience: Patience) -> AsyncGenerator[Piece, None]:
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
                self._answering(request, reading) as response,
            ):
                async for received in response.aiter_bytes():
                    for piece in reading.pieces(received):
                        yield piece
                    if reading.has_news:
                        silence.reschedule(min(end, loop.time() + reading.silence_allowed(patience)))
        for piece in reading.rest():
            yield piece

    async def embed(self, request: EmbeddingsTask, patience: Patience) -> EmbeddingsAnswer:
        """Turn texts into vectors, in order. Raises as ``chat`` does."""
        body: dict[str, Any] = {
            "model": request.model or self._settings.embedding_model,
            "input": list(request.input),
            "encoding_format": "base64",
            **request.more,
        }
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        with translated(patience):
            async with asyncio.timeout(patience.total):
                reply = await self._client.post("/embeddings", cast_to=object, body=body)
        return await asyncio.to_thread(_read_embeddings, reply, request)  # thousands of vectors take their time

    async def models(self) -> list[Any]:
        """What the provider lists. Raises as ``chat`` does."""
        patience = Patience(total=_LIST_SECONDS, first_token=_LIST_SECONDS, idle=_LIST_SECONDS)
        with translated(patience):
            async with asyncio.timeout(patience.total):
                reply = await self._client.get("/models", cast_to=object)
        data = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(data, list):
            raise broken()
        return data

    async def close(self) -> None:
        await self._client.close()

    @asynccontextmanager
    async def _answering(self, request: Conversation, reading: "Reading") -> AsyncIterator[httpx2.Response]:
        call, stream = await self._begin(request)
        async with stream:
            if _EVENT_STREAM not in stream.response.headers.get("content-type", ""):
                raise broken()
            reading.reader = call.reader
            yield stream.response

    async def _begin(self, request: Conversation) -> tuple[Call, AsyncStream[object]]:
        """By way of /responses where it was asked so and the provider speaks it; what it speaks is found out once."""
        if not isinstance(request, ResponseTask) or self._speaks == "chat":
            return await self._send(completion_call(request, self._settings))
        try:
            begun = await self._send(response_call(request, self._settings))
        except APIStatusError as error:
            if self._speaks == "responses" or not lacks(error):
                raise
            return await self._begin_other_way(request)
        self._speaks = "responses"
        return begun

    async def _begin_other_way(self, request: ResponseTask) -> tuple[Call, AsyncStream[object]]:
        """Of a provider without /responses. It is believed to be one once /chat/completions has answered or refused.

        A refusal is enough: the next attempt must not ask for /responses again where asking has a price, as at a
        proxy that takes a model out of service for a while after a 404.
        """
        try:
            begun = await self._send(completion_call(request, self._settings))
        except APIStatusError as error:
            if not lacks(error) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._speaks = "chat"
            raise
        self._speaks = "chat"
        return begun

    async def _send(self, call: Call) -> tuple[Call, AsyncStream[object]]:
        return call, await self._post(call)

    async def _post(self, call: Call) -> AsyncStream[object]:
        return await self._client.post(
            call.path, cast_to=object, body=call.body, stream=True, stream_cls=AsyncStream[object]
        )


class Reading:
    """An answer while it is read; whose reader is known once there is an answer."""

    def __init__(self) -> None:
        self._events = EventData()
        self.reader: Reader | None = None
        self.has_news = False  # the last read brought something of the answer, or the stream's last word
        self.is_over = False  # nothing follows: the provider has said so, or there is no room for more

    def pieces(self, received: bytes) -> Iterator[Piece]:
        """What one read of the network brought. Raises ProviderBroken, and what the provider says in its stream."""
        assert self.reader is not None  # noqa: S101  # set before the first read
        self.has_news = False
        for data in () if self.is_over else self._events.feed(received):
            if data.startswith(_DONE):
                self.has_news = self.is_over = True
                return
            for piece in _sound(self.reader.read, read_event(data)):
                if piece.data is not None:
                    self.reader.room.take_data(0 if piece.delta else len(piece.data_json))  # growth is joined later
                self.has_news = self.has_news or piece.text != "" or piece.data is not None
                yield piece
            if self.reader.is_over or self.reader.room.is_full:
                self.has_news = self.is_over = True
                return

    def rest(self) -> Iterable[Piece]:
        """What is left to say at the end. Raises ProviderRetryable when the stream was cut."""
        if self.reader is None:
            raise stream_cut()
        pieces = _sound(self.reader.end)
        return [*pieces, Piece(finish_reason="length")] if self.reader.room.is_full else pieces

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


def _sound(read: Callable[..., Iterable[Piece]], *said: Any) -> list[Piece]:
    try:
        return list(map(clean, read(*said)))
    except NONSENSE:
        raise broken() from None


def _read_embeddings(reply: Any, request: EmbeddingsTask) -> EmbeddingsAnswer:
    try:
        rows = sorted(reply["data"], key=lambda row: row["index"])
        read = tuple(_read_vector(row["embedding"]) for row in rows)
        if len(read) != len(request.input) or not vectors.are_alike(read):
            raise broken()
        return EmbeddingsAnswer(
            vectors=read,
            encoding_format=request.encoding_format,
            model=read_text(reply.get("model")),
            usage=read_usage(reply.get("usage")),
        )
    except NONSENSE:
        raise broken() from None


def _read_vector(value: Any) -> str:
    """From servers that ignore what they are asked for, numbers."""
    return vectors.checked(value if isinstance(value, str) else vectors.pack(map(float, value)))
