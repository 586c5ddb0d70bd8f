"""Chooses the provider call for a request: path, body and parser."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from jobs.errors import InternalError, ProviderRejected
from jobs.kinds.base import Conversation
from jobs.kinds.chat import ChatTask
from jobs.kinds.completion import CompletionTask
from jobs.kinds.response import ResponseTask
from jobs.kinds.text_completion import TextCompletionTask
from jobs.settings import Settings
from openai_format.chat_request import chat_request, function_names
from openai_format.compaction import with_summaries
from openai_format.errors import NotInChatFormat
from openai_format.items import input_items
from openai_format.text import MALFORMED
from openai_format.types import JsonObject
from tasks.provider.formats.chat import ChatParser, chat_body
from tasks.provider.formats.chat_to_responses import ChatToResponseParser
from tasks.provider.formats.completion import CompletionParser
from tasks.provider.formats.delta import StreamParser
from tasks.provider.formats.response import ResponseParser
from tasks.provider.formats.text_completion import TextCompletionParser

_REJECTED_CODE: Final = "provider_rejected_request"
_STORING_HOSTS: Final = ("openai.com", "openai.azure.com")
_ENCRYPTED_REASONING: Final = "reasoning.encrypted_content"
_REASONING_MODEL: Final = re.compile(r"(.*/)?(o[0-9]|gpt-5|gpt-oss|codex)(?!.*-chat)")
_NAME: Final = re.compile(r"[a-z_ ]{1,60}")


@dataclass(frozen=True)
class ProviderCall:
    """The path and body to send, and the parser for the stream that is returned. For one use."""

    path: str
    body: JsonObject = field(repr=False)
    parser: StreamParser
    is_streamed: bool = True  # False: the whole answer is requested at once
    is_own_body: bool = False  # the body was made here, so its parameters may be named for the provider

    @property
    def model(self) -> str:
        return str(self.body["model"])

    def unstreamed(self) -> "ProviderCall":
        """The same call for the whole answer at once."""
        body = {name: value for name, value in self.body.items() if name not in ("stream", "stream_options")}
        return replace(self, body=body, is_streamed=False)

    def renamed(self, names: Mapping[str, str]) -> "ProviderCall":
        """The same call with other names for some parameters."""
        return replace(self, body={names.get(name, name): value for name, value in self.body.items()})


def may_store_completions(base_url: str) -> bool:
    """Whether the provider may store chat completions unless told otherwise. Some others reject ``store``."""
    host = str(urlsplit(base_url).hostname)
    return any(host == name or host.endswith(f".{name}") for name in _STORING_HOSTS)


def completion_call(request: Conversation, settings: Settings, *, may_store: bool = False) -> ProviderCall:
    """Any conversation as a chat completion, which every provider supports. The model is set. Raises ProviderRejected.

    ``store`` is about this server: a provider that ``may_store`` completions is asked not to.
    """
    body, parser = _chat_body_and_parser(request, settings.max_answer_chars)
    options = {**(body.get("stream_options") or {}), "include_usage": True}
    own_fields = {"model": request.model, "stream": True, "stream_options": options}
    body = {name: value for name, value in body.items() if name != "store"} | ({"store": False} if may_store else {})
    is_own = not isinstance(request, CompletionTask)
    return ProviderCall("/chat/completions", body | own_fields, parser, is_own_body=is_own)


def text_completion_call(request: TextCompletionTask, settings: Settings) -> ProviderCall:
    """The request unchanged. No provider stores text completions."""
    options = {**(request.body.get("stream_options") or {}), "include_usage": True}
    own_fields = {"model": request.model, "stream": True, "stream_options": options}
    body = {name: value for name, value in request.body.items() if name != "store"} | own_fields
    call = ProviderCall("/completions", body, TextCompletionParser(settings.max_answer_chars, request.choices))
    return call.unstreamed() if request.is_answered_whole else call


def _chat_body_and_parser(request: Conversation, max_chars: int) -> tuple[JsonObject, StreamParser]:
    match request:
        case ChatTask():
            return chat_body(request), ChatParser(max_chars)
        case CompletionTask():
            return request.body, CompletionParser(max_chars, _choices(request.body))
        case ResponseTask():
            return _converted(request, max_chars)
    raise InternalError(f"no provider call answers a job of kind {request.kind}")


def _choices(body: JsonObject) -> int:
    """How many choices are requested; the provider rejects other values."""
    number = body.get("n")
    return number if isinstance(number, int) else 1


def _converted(request: ResponseTask, max_chars: int) -> tuple[JsonObject, StreamParser]:
    try:
        body = chat_request(request.body, request.previous_items)
        names = function_names(request.body, request.previous_items)
    except NotInChatFormat as error:
        raise _unsupported(error.part) from None
    except MALFORMED:
        raise ProviderRejected("the input or the tools are malformed", code=_REJECTED_CODE) from None
    return body, ChatToResponseParser(max_chars, names)


def _unsupported(part: str) -> ProviderRejected:
    """Quotes the part only if it looks like a name, because it could contain any text of the caller."""
    quote = part if _NAME.fullmatch(part) else "a part of it"
    return ProviderRejected(
        f"the provider supports chat completions only, which cannot express {quote} of the request",
        code=_REJECTED_CODE,
    )


def _reasoning_field(request: ResponseTask) -> JsonObject:
    """Asks for the reasoning in a form that a follow-up request can send back, because the provider stores nothing.

    OpenAI rejects this for a model that does not reason.
    """
    include = request.body.get("include") or []
    is_named = request.model is not None and _REASONING_MODEL.match(request.model) is not None
    is_reasoning = is_named or request.body.get("reasoning") is not None
    if not (request.store and is_reasoning and isinstance(include, list)) or _ENCRYPTED_REASONING in include:
        return {}
    return {"include": [*include, _ENCRYPTED_REASONING]}


def response_call(request: ResponseTask, settings: Settings) -> ProviderCall:
    """The request unchanged, with the previous items before its input. The provider is asked to store nothing."""
    full_input = request.body.get("input")
    if request.previous_items or isinstance(full_input, list):
        full_input = with_summaries([*request.previous_items, *input_items(full_input)])
    own_fields = {"model": request.model, "stream": True, "store": False} | _reasoning_field(request)
    body = request.body | ({} if full_input is None else {"input": full_input}) | own_fields
    return ProviderCall("/responses", body, ResponseParser(settings.max_answer_chars))
