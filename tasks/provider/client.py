"""The provider adapter: the openai SDK against any compatible server, one client for each process.

It uses the SDK's transport, authentication and errors. It does not use the SDK's pydantic objects and stream parsing,
which cost more CPU than the rest of a call. The SDK's retries are off: tasks/retry.py decides on attempts.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import httpx2
from aiohttp.http_exceptions import HttpProcessingError
from openai import APIStatusError, AsyncOpenAI, AsyncStream, DefaultAioHttpClient

from jobs import vector_encoding
from jobs.kinds.base import Conversation
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from openai_format.text import MALFORMED, read_text
from tasks.provider.answer_stream import AnswerStream
from tasks.provider.connection_watch import fail_when_closed
from tasks.provider.errors import lacks_endpoint, protocol_error, refuses_stream, translate_errors
from tasks.provider.formats.delta import Delta, StreamParser, read_usage
from tasks.provider.formats.route import ProviderCall, completion_call, response_call
from tasks.provider.support import ProviderSupport
from tasks.provider.timeouts import Timeouts

_LIST_MODELS_SECONDS: Final = 10.0
_SPARE_CONNECTIONS: Final = 50  # beyond one for each call in flight


class Provider:
    """Belongs to the event loop on which it is first used."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._support = ProviderSupport(settings.provider_api, streams=settings.provider_streams)
        connections = settings.worker_concurrency + _SPARE_CONNECTIONS
        self._client = AsyncOpenAI(
            api_key=settings.provider_api_key.get_secret_value(),
            base_url=settings.provider_base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=settings.provider_connect_seconds),  # Timeouts bounds the rest
            http_client=DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
            ),
        )

    async def chat(self, request: Conversation, timeouts: Timeouts) -> AsyncGenerator[Delta, None]:
        """Stream an answer. Ends only after the provider's own last event.

        Raises ProviderRetryable, ProviderRejected, ProviderBroken or DeadlineExceeded. Close the generator
        (contextlib.aclosing) in the task that reads it: that closes the connection.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeouts.total
        answer_stream = AnswerStream()
        with translate_errors(timeouts), _ignore_errors_after_end(answer_stream):
            async with (
                asyncio.timeout_at(min(end, loop.time() + timeouts.first_token)) as idle_timer,
                self._open_stream(request, answer_stream, lambda: idle_timer.reschedule(end)) as response,
            ):
                async for chunk in response.aiter_bytes():
                    for delta in answer_stream.deltas(chunk):
                        yield delta
                    if answer_stream.progressed:
                        idle_timer.reschedule(min(end, loop.time() + answer_stream.idle_timeout(timeouts)))
            answer_stream.end()
        for delta in answer_stream.flush():
            yield delta

    @asynccontextmanager
    async def _open_stream(
        self, request: Conversation, answer_stream: AnswerStream, on_whole: Callable[[], None]
    ) -> AsyncIterator[httpx2.Response]:
        """The response, with its parser set in ``answer_stream``; the connection is closed when the block ends.

        ``on_whole`` is called before a call that is not streamed: its first byte comes when the answer is complete.
        """
        stream, answer_stream.parser = await self._start_call(request, on_whole)
        async with stream:
            with fail_when_closed(stream.response):
                yield stream.response

    async def _start_call(
        self, request: Conversation, on_whole: Callable[[], None]
    ) -> tuple[AsyncStream[object], StreamParser]:
        """Call /responses where the request asks for it and the provider has it, otherwise /chat/completions.

        The first call determines whether the provider has /responses.
        """
        if not isinstance(request, ResponseTask) or self._support.api_format == "chat":
            return await self._send(completion_call(request, self._settings), on_whole)
        try:
            started = await self._send(response_call(request, self._settings), on_whole)
        except APIStatusError as error:
            if not (self._support.may_fall_back and lacks_endpoint(error)):
                raise
            return await self._fall_back_to_chat(request, on_whole)
        self._support.found_format("responses")
        return started

    async def _fall_back_to_chat(
        self, request: ResponseTask, on_whole: Callable[[], None]
    ) -> tuple[AsyncStream[object], StreamParser]:
        """Call /chat/completions; if the provider answers or refuses it there, later calls skip /responses.

        A refusal is enough, because another call to /responses can be costly: some proxies take a model out of
        service for a while after a 404.
        """
        try:
            started = await self._send(completion_call(request, self._settings), on_whole)
        except APIStatusError as error:
            if not lacks_endpoint(error) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._support.found_format("chat")
            raise
        self._support.found_format("chat")
        return started

    async def _send(self, call: ProviderCall, on_whole: Callable[[], None]) -> tuple[AsyncStream[object], StreamParser]:
        """Send a call; its response, not yet read, and the parser for it.

        A provider that refuses to stream is asked for the whole answer.
        """
        if self._support.streams(call.model):
            try:
                return await self._post(call), call.parser
            except APIStatusError as error:
                if not refuses_stream(error):
                    raise
            self._support.found_unstreamed(call.model)
        on_whole()
        return await self._post(call.unstreamed()), call.parser

    async def _post(self, call: ProviderCall) -> AsyncStream[object]:
        return await self._client.post(
            call.path, cast_to=object, body=call.body, stream=True, stream_cls=AsyncStream[object]
        )

    async def embed(self, request: EmbeddingsTask, timeouts: Timeouts) -> EmbeddingsAnswer:
        """Turn texts into vectors, in order. Raises what ``chat`` raises."""
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
        return await asyncio.to_thread(_read_embeddings, reply, request)  # thousands of vectors would block the loop

    async def models(self) -> list[Any]:
        """The provider's models, not validated. Raises what ``chat`` raises."""
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


@contextmanager
def _ignore_errors_after_end(answer_stream: AnswerStream) -> Iterator[None]:
    """Keep a finished answer when its connection fails or stays open: only the connection cannot be reused."""
    try:
        yield
    except (TimeoutError, httpx2.RequestError, aiohttp.ClientError, HttpProcessingError, OSError) as error:
        answer_stream.end()
        if answer_stream.is_complete:
            return
        if isinstance(error, httpx2.DecodingError):
            raise protocol_error() from None
        raise


def _read_embeddings(reply: Any, request: EmbeddingsTask) -> EmbeddingsAnswer:
    try:
        rows = sorted(reply["data"], key=lambda row: row["index"])
        read = tuple(_read_vector(row["embedding"]) for row in rows)
        if len(read) != len(request.input) or not vector_encoding.have_same_length(read):
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
    """A vector as base64. Some servers ignore ``encoding_format`` and send numbers."""
    return vector_encoding.validated(value if isinstance(value, str) else vector_encoding.pack(map(float, value)))
