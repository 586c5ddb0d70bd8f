"""What the offline model says: pure functions from request to words. A token is a word with its spaces."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from documents.citations import extract_answer
from documents.prompting import read_prompt
from local.offline_model.bodies import ChatBody, ResponseFormat
from local.offline_model.directive import Directive
from local.offline_model.schema_faker import invent

FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]

_TOKEN = re.compile(r"\s*\S+|\s+$")
_QUOTED_WORDS = 8
_QUOTED_CHARS = 80


@dataclass(frozen=True, slots=True)
class Call:
    """Of a function that the request offers."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """Joined, the tokens are the text, to the character."""

    tokens: tuple[str, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    calls: tuple[Call, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def answer(body: ChatBody, directive: Directive, prompt: str) -> Answer:
    """The same answer for the same request. `prompt` is the user's text without the directive."""
    limit = body.token_limit
    calls = _calls(body, directive)
    if calls:
        return Answer((), "tool_calls", body.words, calls)
    tokens = _tokens(directive, prompt, body.response_format)
    reason: FinishReason = "content_filter" if directive.is_filtered else "stop"
    if limit is not None and len(tokens) > limit:
        tokens, reason = tokens[:limit], "length"
    return Answer(tokens, reason, prompt_tokens=body.words)


def _calls(body: ChatBody, directive: Directive) -> tuple[Call, ...]:
    """Of the first functions that the request offers, unless one has answered already."""
    if not body.awaits_answer_to_user:
        return ()
    offered = [tool.function for tool in body.tools[: directive.calls]]
    return tuple(Call(function.name, invent(function.parameters or {"type": "object"})) for function in offered)


def _tokens(directive: Directive, prompt: str, wanted: ResponseFormat) -> tuple[str, ...]:
    is_plain = directive.say is None and directive.tokens is None
    if is_plain and wanted.type == "json_schema":
        return tuple(_TOKEN.findall(json.dumps(invent(wanted.json_schema.shape))))
    if directive.tokens is not None:
        return tuple(f" w{number}" if number else "w0" for number in range(directive.tokens))
    text = _own_words(prompt) if directive.say is None else directive.say
    return tuple(_TOKEN.findall(text))


def _own_words(prompt: str) -> str:
    asked = read_prompt(prompt)
    return extract_answer(*asked) if asked else _introduce(prompt)


def _introduce(prompt: str) -> str:
    """No one must take this for a model's answer."""
    words = prompt.split()
    told = "This is the offline model of chatqueue: no language model wrote this."
    if not words:
        return f"{told} You sent no words."
    begin = " ".join(words[:_QUOTED_WORDS])[:_QUOTED_CHARS]
    if len(words) == 1:
        return f'{told} You sent 1 word: "{begin}"'
    return f'{told} You sent {len(words)} words; they begin: "{begin}"'
