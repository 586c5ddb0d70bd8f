"""Which call answers which request."""

from dataclasses import dataclass, field
from typing import Any

from jobs.errors import InternalError, ProviderRejected
from jobs.kinds.base import Conversation
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.settings import Settings
from tasks.provider.formats import chat, responses_to_chat
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser
from tasks.provider.formats.delta import MALFORMED, StreamParser
from tasks.provider.formats.response import ResponseParser


@dataclass(frozen=True)
class ProviderCall:
    """What to send where, and who reads the stream that comes back. For one use."""

    path: str
    body: dict[str, Any] = field(repr=False)
    parser: StreamParser


def completion_call(request: Conversation, settings: Settings) -> ProviderCall:
    """Any conversation as a chat completion, which every provider speaks. Raises ProviderRejected."""
    body, parser = _chat_body_and_parser(request, settings.max_answer_chars)
    options = {**(body.get("stream_options") or {}), "include_usage": True}
    streamed = {"model": request.model or settings.chat_model, "stream": True, "stream_options": options}
    return ProviderCall("/chat/completions", body | streamed, parser)


def _chat_body_and_parser(request: Conversation, max_chars: int) -> tuple[dict[str, Any], StreamParser]:
    match request:
        case ChatTask():
            return chat.chat_body(request), chat.ChatParser(max_chars)
        case CompletionTask():
            return request.body, CompletionParser(max_chars)
        case ResponseTask():
            return _translated_body(request), ChatToResponseParser(max_chars)
    raise InternalError(f"no provider call answers a job of kind {request.kind}")


def _translated_body(request: ResponseTask) -> dict[str, Any]:
    try:
        return responses_to_chat.chat_body(request.body, request.previous_items)
    except MALFORMED:
        raise ProviderRejected("the input or the tools are malformed", code="provider_rejected_request") from None


def response_call(request: ResponseTask, settings: Settings) -> ProviderCall:
    """As it came, with the previous items; kept by nobody but us."""
    new_input = request.body.get("input")
    full_input = [*request.previous_items, *responses_to_chat.items(new_input)] if request.previous_items else new_input
    own_fields = {"model": request.model or settings.chat_model, "stream": True, "store": False}
    body = request.body | ({} if full_input is None else {"input": full_input}) | own_fields
    return ProviderCall("/responses", body, ResponseParser(settings.max_answer_chars))
