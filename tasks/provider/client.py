"""The provider adapter: the openai SDK against any compatible server, one client for each provider and process.

It uses the SDK's transport, authentication and errors. It does not use the SDK's pydantic objects and stream parsing,
which cost more CPU than the rest of a call. The SDK's retries are off: tasks/retry.py decides on attempts.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias

import aiohttp
import httpx2
from aiohttp.http_exceptions import HttpProcessingError
from openai import APIStatusError, AsyncOpenAI, AsyncStream, DefaultAioHttpClient
from pydantic import SecretStr

from jobs import vector_encoding
from jobs.kinds.base import Conversation
from jobs.kinds.embeddings import EmbeddingsAnswer, EmbeddingsTask
from jobs.kinds.response import ResponseTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.providers import ProviderConfig
from jobs.settings import Settings
from openai_format.text import MALFORMED, read_text
from tasks.provider.answer_stream import AnswerStream
from tasks.provider.connection_watch import fail_when_closed
from tasks.provider.errors import blame_provider_until_started, protocol_error, translate_errors
from tasks.provider.formats.delta import Delta, StreamParser, read_usage
from tasks.provider.formats.route import (
    ProviderCall,
    completion_call,
    may_store_completions,
    response_call,
    text_completion_call,
)
from tasks.provider.rate_limit_headers import RateLimits, read_rate_limits
from tasks.provider.support import MAX_TOKENS, ProviderSupport, lacks_endpoint, refuses_limit_name, refuses_stream
from tasks.provider.timeouts import Timeouts

Observe: TypeAlias = Callable[[RateLimits], None]

_LIST_MODELS_SECONDS: Final = 10.0
_SPARE_CONNECTIONS: Final = 50  # beyond one for each call in flight


def ignore_rate_limits(_: RateLimits) -> None:
    pass


@dataclass(frozen=True)
class _Hooks:
    """What is called during a call. ``on_whole``: before a request for a whole answer, whose first byte comes late."""

    observe: Observe
    on_whole: Callable[[], None]


class Provider:
    """One provider, and its connections. Belongs to the event loop on which it is first used.

    The request's ``model`` is sent unchanged: it must be the provider's own name. ``observe`` is called with the rate
    limits that a response reports, if any.
    """

    def __init__(self, config: ProviderConfig, api_key: SecretStr, settings: Settings) -> None:
        self._settings = settings
        self._support = ProviderSupport(config.speaks, streams=config.streams)
        self._may_store = may_store_completions(config.base_url)
        connections = settings.worker_concurrency + _SPARE_CONNECTIONS
        self._client = AsyncOpenAI(
            api_key=api_key.get_secret_value(),
            base_url=config.base_url,
            max_retries=0,
            timeout=httpx2.Timeout(None, connect=settings.provider_connect_seconds),  # Timeouts bounds the rest
            http_client=DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
                follow_redirects=False,  # the request and the key are for the configured address alone
            ),
        )

    async def chat(
        self, request: Conversation, timeouts: Timeouts, observe: Observe = ignore_rate_limits
    ) -> AsyncGenerator[Delta, None]:
        """Stream an answer. Ends only after the provider's own last event.

        Raises ProviderRetryable, ProviderRejected, ProviderBroken or DeadlineExceeded. Close the generator
        (contextlib.aclosing) in the task that reads it: that closes the connection.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeouts.total
        answer_stream, has_started = AnswerStream(), False
        with blame_provider_until_started(lambda: has_started or answer_stream.progressed):
            with translate_errors(timeouts), _ignore_errors_after_end(answer_stream):
                async with (
                    asyncio.timeout_at(min(end, loop.time() + timeouts.first_token)) as idle_timer,
                    self._open_stream(
                        request, answer_stream, _Hooks(observe, partial(idle_timer.reschedule, end))
                    ) as response,
                ):
                    async for chunk in response.aiter_bytes():
                        for delta in answer_stream.deltas(chunk):
                            yield delta
                        if answer_stream.progressed:
                            has_started = True
                            idle_timer.reschedule(min(end, loop.time() + answer_stream.idle_timeout(timeouts)))
                answer_stream.end()
            for delta in answer_stream.flush():
                yield delta

    @asynccontextmanager
    async def _open_stream(
        self, request: Conversation, answer_stream: AnswerStream, hooks: _Hooks
    ) -> AsyncIterator[httpx2.Response]:
        """The response, with its parser set in ``answer_stream``; the connection is closed when the block ends."""
        stream, answer_stream.parser = await self._start_call(request, hooks)
        async with stream:
            with fail_when_closed(stream.response):
                yield stream.response

    async def _start_call(self, request: Conversation, hooks: _Hooks) -> tuple[AsyncStream[object], StreamParser]:
        """Call /responses where the request asks for it and the provider has it, otherwise /chat/completions.

        A text completion has no other path than its own. The first call determines whether the provider has /responses.
        """
        if isinstance(request, TextCompletionTask):
            return await self._send(text_completion_call(request, self._settings), hooks)
        if not isinstance(request, ResponseTask) or self._support.api_format == "chat":
            return await self._send(self._completion_call(request), hooks)
        try:
            started = await self._send(response_call(request, self._settings), hooks)
        except APIStatusError as error:
            if not (self._support.may_fall_back and lacks_endpoint(error)):
                raise
            return await self._fall_back_to_chat(request, hooks)
        self._support.found_format("responses")
        return started

    def _completion_call(self, request: Conversation) -> ProviderCall:
        return completion_call(request, self._settings, may_store=self._may_store)

    async def _fall_back_to_chat(
        self, request: ResponseTask, hooks: _Hooks
    ) -> tuple[AsyncStream[object], StreamParser]:
        """Call /chat/completions; if the provider answers or refuses it there, later calls skip /responses.

        A refusal is enough, because another call to /responses can be costly: some proxies take a model out of
        service for a while after a 404.
        """
        try:
            started = await self._send(self._completion_call(request), hooks)
        except APIStatusError as error:
            if not lacks_endpoint(error) and error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
                self._support.found_format("chat")
            raise
        self._support.found_format("chat")
        return started

    async def _send(self, call: ProviderCall, hooks: _Hooks) -> tuple[AsyncStream[object], StreamParser]:
        """Send a call; its response, not yet read, and the parser for it.

        Where the provider knows the limit of tokens by its older name only, a limit that was named here gets that name.
        """
        if not (call.is_own_body and MAX_TOKENS.keys() & call.body.keys()):
            return await self._send_streamed(call, hooks)
        if not self._support.has_older_limit(call.model):
            try:
                return await self._send_streamed(call, hooks)
            except APIStatusError as error:
                if not refuses_limit_name(error):
                    raise
            self._support.found_older_limit(call.model)
        return await self._send_streamed(call.renamed(MAX_TOKENS), hooks)

    async def _send_streamed(self, call: ProviderCall, hooks: _Hooks) -> tuple[AsyncStream[object], StreamParser]:
        """Send a call. A provider that refuses to stream is asked for the whole answer."""
        if call.is_streamed and self._support.streams(call.model):
            try:
                return await self._post(call, hooks.observe), call.parser
            except APIStatusError as error:
                if not refuses_stream(error):
                    raise
            self._support.found_unstreamed(call.model)
        hooks.on_whole()
        return await self._post(call.unstreamed(), hooks.observe), call.parser

    async def _post(self, call: ProviderCall, observe: Observe) -> AsyncStream[object]:
        with _observing_refusals(observe):
            stream = await self._client.post(
                call.path, cast_to=object, body=call.body, stream=True, stream_cls=AsyncStream[object]
            )
        _observe(stream.response, observe)
        return stream

    async def embed(
        self, request: EmbeddingsTask, timeouts: Timeouts, observe: Observe = ignore_rate_limits
    ) -> EmbeddingsAnswer:
        """Turn texts into vectors, in order. Raises what ``chat`` raises."""
        body: dict[str, Any] = {
            "encoding_format": "base64",
            **request.extra_body,
            "model": request.model,
            "input": list(request.input),
        }
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        with translate_errors(timeouts):
            async with asyncio.timeout(timeouts.total):
                with _observing_refusals(observe):
                    response = await self._client.post("/embeddings", cast_to=httpx2.Response, body=body)
        _observe(response, observe)
        return await asyncio.to_thread(_read_embeddings, response, request)  # thousands of vectors block the loop

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
def _observing_refusals(observe: Observe) -> Iterator[None]:
    try:
        yield
    except APIStatusError as error:
        _observe(error.response, observe)
        raise


def _observe(response: httpx2.Response, observe: Observe) -> None:
    if limits := read_rate_limits(response.headers, datetime.now(UTC)):
        observe(limits)


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


def _read_embeddings(response: httpx2.Response, request: EmbeddingsTask) -> EmbeddingsAnswer:
    try:
        reply = response.json()
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
