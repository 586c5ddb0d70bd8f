"""The provider adapter: the openai SDK against any compatible server, one client for each process.

The SDK's transport, authentication and errors are used; its pydantic objects and its stream parsing are not: they
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
from jobs.kinds import Conversation
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from openai_format.text import MALFORMED, read_text
from tasks.provider.errors import lacks_endpoint, protocol_error, stream_cut, translate_errors
from tasks.provider.formats.delta import Delta, StreamParser, read_usage, sanitize
from tasks.provider.formats.route import ProviderCall, completion_call, response_call
from tasks.provider.limits import read_event
from tasks.provider.sse import SSEDecoder
from tasks.provider.timeouts import Timeouts

_EVENT_STREAM: Final = "text/event-stream"
_DONE: Final = b"[DONE]"
_CLOSE_TIMEOUT_SECONDS: Final = (
    0.1  # between the last word and the end of its HTTP message; then the connection is closed
)
_LIST_MODELS_SECONDS: Final = 10.0
_SPARE_CONNECTIONS: Final = 50  # beyond one for each call in flight


class Provider:
    """Belongs to the event loop on which it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._api_format: Literal["auto", "responses", "chat"] = settings.provider_api
        connections = settings.worker_concurrency + _SPARE_CONNECTIONS
        self._client = AsyncOpenAI(
            api_key=settings.provider_api_key.get_secret_value(),
            base_url=settings.provider_base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=settings.provider_connect_seconds),  # the rest is Timeouts
            http_client=DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
            ),
        )

    async def chat(self, request: Conversation, timeouts: Timeouts) -> AsyncGenerator[Delta, None]:
        """Stream an answer. Ends only after the provider's own last event.

        Raises ProviderRetryable, ProviderRejected or ProviderBroken. Close it (contextlib.aclosing) in the task that
        reads it: that closes the connection.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeouts.total
        answer_stream = AnswerStream()
        with translate_errors(timeouts), _ignore_errors_after_end(answer_stream):
            async with (
                asyncio.timeout_at(min(end, loop.time() + timeouts.first_token)) as idle_timer,
                self._open_stream(request, answer_stream) as response,
            ):
                async for chunk in response.aiter_bytes():
                    for delta in answer_stream.deltas(chunk):
                        yield delta
                    if answer_stream.progressed:
                        idle_timer.reschedule(min(end, loop.time() + answer_stream.idle_timeout(timeouts)))
        for delta in answer_stream.flush():
            yield delta

    async def embed(self, request: EmbeddingsTask, timeouts: Timeouts) -> EmbeddingsAnswer:
        """Turn texts into vectors, in order. Raises as ``chat`` does."""
        body: dict[str, Any] = {
            "model": request.model or self._settings.embedding_model,
            "input": list(request.input),
            "encoding_format": "base64",
            **request.extra_body,
        }
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        with translate_errors(timeouts):
            async with asyncio.timeout(timeouts.total):
                reply = await self._client.post("/embeddings", cast_to=object, body=body)
        return await asyncio.to_thread(_read_embeddings, reply, request)  # thousands of vectors take their time

    async def models(self) -> list[Any]:
        """What the provider lists. Raises as ``chat`` does."""
        timeouts = Timeouts(total=_LIST_MODELS_SECONDS, first_token=_LIST_MODELS_SECONDS, idle=_LIST_MODELS_SECONDS)
        with translate_errors(timeouts):
            async with asyncio.timeout(timeouts.total):
                reply = await self._client.get("/models", cast_to=object)
        data = reply.get("data") if isinstance(reply, dict) else None
        if not isinstance(data, list):
            raise protocol_error()
        return data

    async def close(self) -> None:
        await self._client.close()

    @asynccontextmanager
    async def _open_stream(
        self, request: Conversation, answer_stream: "AnswerStream"
    ) -> AsyncIterator[httpx2.Response]:
        call, stream = await self._start_call(request)
        async with stream:
            if _EVENT_STREAM not in stream.response.headers.get("content-type", ""):
                raise protocol_error()
            answer_stream.parser = call.parser
            yield stream.response

    async def _start_call(self, request: Conversation) -> tuple[ProviderCall, AsyncStream[object]]:
        """By way of /responses where it was asked so and the provider speaks it; what it speaks is found out once."""
        if not isinstance(request, ResponseTask) or self._api_format == "chat":
            return await self._send(completion_call(request, self._settings))
        try:
            started = await self._send(response_call(request, self._settings))
        except APIStatusError as error:
            if self._api_format == "responses" or not lacks_endpoint(error):
                raise
            return await self._fall_back_to_chat(request)
        self._api_format = "responses"
        return started

    async def _fall_back_to_chat(self, request: ResponseTask) -> tuple[ProviderCall, AsyncStream[object]]:
        """Of a provider without /responses. It is believed to be one once /chat/completions has answered or refused.

        A refusal is enough: the next attempt must not ask for /responses again where asking has a price, as at a
        proxy that takes a model out of service for a while after a 404.
        """
        try:
            started = await self._send(completion_call(request, self._settings))
        except APIStatusError as error:
            if not lacks_endpoint(error) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._api_format = "chat"
            raise
        self._api_format = "chat"
        return started

    async def _send(self, call: ProviderCall) -> tuple[ProviderCall, AsyncStream[object]]:
        return call, await self._post(call)

    async def _post(self, call: ProviderCall) -> AsyncStream[object]:
        return await self._client.post(
            call.path, cast_to=object, body=call.body, stream=True, stream_cls=AsyncStream[object]
        )


class AnswerStream:
    """An answer while it is read; whose parser is known once there is an answer."""

    def __init__(self) -> None:
        self._events = SSEDecoder()
        self.parser: StreamParser | None = None
        self.progressed = False  # the last read brought something of the answer, or the stream's last word
        self.is_over = False  # nothing follows: the provider has said so, or there is no room for more

    def deltas(self, chunk: bytes) -> Iterator[Delta]:
        """What one read of the network brought. Raises ProviderBroken, and what the provider says in its stream."""
        assert self.parser is not None  # noqa: S101  # set before the first read
        self.progressed = False
        for data in () if self.is_over else self._events.feed(chunk):
            if data.startswith(_DONE):
                self.progressed = self.is_over = True
                return
            for delta in _checked(self.parser.parse, read_event(data)):
                if delta.data is not None:
                    self.parser.budget.take_data(
                        0 if delta.data_delta else len(delta.data_json)
                    )  # growth is joined later
                self.progressed = self.progressed or delta.text != "" or delta.data is not None
                yield delta
            if self.parser.is_over or self.parser.budget.is_full:
                self.progressed = self.is_over = True
                return

    def flush(self) -> Iterable[Delta]:
        """What is left to say at the end. Raises ProviderRetryable when the stream was cut."""
        if self.parser is None:
            raise stream_cut()
        deltas = _checked(self.parser.finish)
        return [*deltas, Delta(finish_reason="length")] if self.parser.budget.is_full else deltas

    def idle_timeout(self, timeouts: Timeouts) -> float:
        """In seconds, from now on."""
        return _CLOSE_TIMEOUT_SECONDS if self.is_over else timeouts.idle


@contextmanager
def _ignore_errors_after_end(answer_stream: AnswerStream) -> Iterator[None]:
    """After it nothing is lost when the connection fails, or does not end: it only cannot serve another call."""
    try:
        yield
    except (TimeoutError, httpx2.RequestError) as error:
        if answer_stream.is_over:
            return
        if isinstance(error, httpx2.DecodingError):
            raise protocol_error() from None
        raise


def _checked(read: Callable[..., Iterable[Delta]], *args: Any) -> list[Delta]:
    try:
        return list(map(sanitize, read(*args)))
    except MALFORMED:
        raise protocol_error() from None


def _read_embeddings(reply: Any, request: EmbeddingsTask) -> EmbeddingsAnswer:
    try:
        rows = sorted(reply["data"], key=lambda row: row["index"])
        read = tuple(_read_vector(row["embedding"]) for row in rows)
        if len(read) != len(request.input) or not vectors.have_same_length(read):
            raise protocol_error()
        return EmbeddingsAnswer(
            vectors=read,
            encoding_format=request.encoding_format,
            model=read_text(reply.get("model")),
            usage=read_usage(reply.get("usage")),
        )
    except MALFORMED:
        raise protocol_error() from None


def _read_vector(value: Any) -> str:
    """From servers that ignore what they are asked for, numbers."""
    return vectors.validated(value if isinstance(value, str) else vectors.pack(map(float, value)))
