"""Which call answers which request."""

from dataclasses import dataclass, field
from typing import Any

from jobs.errors import ProviderRejected
from jobs.requests import ChatTask, CompletionTask, Conversation, ResponseTask
from jobs.settings import Settings
from tasks.provider.formats import chat, responses_to_chat
from tasks.provider.formats.chat_to_responses import TranslatingReader
from tasks.provider.formats.completion import CompletionReader
from tasks.provider.formats.delta import NONSENSE, Reader
from tasks.provider.formats.response import ResponseReader


@dataclass(frozen=True)
class Call:
    """What to send where, and who reads the stream that comes back. For one use."""

    path: str
    body: dict[str, Any] = field(repr=False)
    reader: Reader


def completion_call(request: Conversation, settings: Settings) -> Call:
    """Any conversation as a chat completion, which every provider speaks. Raises ProviderRejected."""
    body, reader = _said(request, settings.max_answer_chars)
    options = {**(body.get("stream_options") or {}), "include_usage": True}
    streamed = {"model": request.model or settings.chat_model, "stream": True, "stream_options": options}
    return Call("/chat/completions", body | streamed, reader)


def _said(request: Conversation, max_chars: int) -> tuple[dict[str, Any], Reader]:
    match request:
        case ChatTask():
            return chat.chat_body(request), chat.ChatReader(max_chars)
        case CompletionTask():
            return request.body, CompletionReader(max_chars)
    try:
        return responses_to_chat.chat_body(request.body, request.earlier), TranslatingReader(max_chars)
    except NONSENSE:
        raise ProviderRejected("the input or the tools are malformed", code="provider_rejected_request") from None


def response_call(request: ResponseTask, settings: Settings) -> Call:
    """As it came, with what was said before; kept by nobody but us."""
    given = request.body.get("input")
    said = [*request.earlier, *responses_to_chat.items(given)] if request.earlier else given
    ours = {"model": request.model or settings.chat_model, "stream": True, "store": False}
    body = request.body | ({} if said is None else {"input": said}) | ours
    return Call("/responses", body, ResponseReader(settings.max_answer_chars))
