"""The offline model's answers: pure functions from request to tokens. A token is a word with its spaces."""

import json
import re
from dataclasses import dataclass
from typing import Literal

from documents.answering.citations import extract_answer
from documents.answering.prompting import parse_prompt
from local.offline_model.bodies import ChatBody, ResponseFormat
from local.offline_model.directive import Directive
from local.offline_model.schema_faker import fake_value
from openai_format.types import JsonObject
from openai_format.usage import TokenCounts

FinishReason = Literal["stop", "length", "content_filter", "tool_calls"]

_TOKEN = re.compile(r"\s*\S+|\s+$")
_QUOTED_WORDS = 8
_QUOTED_CHARS = 80


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call of a function that the request offers."""

    name: str
    arguments: JsonObject


@dataclass(frozen=True, slots=True)
class Answer:
    """The tokens, joined, are exactly the text."""

    tokens: tuple[str, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    calls: tuple[FunctionCall, ...] = ()

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def counts(self) -> TokenCounts:
        """Function calls count as zero tokens."""
        output_tokens = len(self.tokens)
        return TokenCounts(self.prompt_tokens, output_tokens, self.prompt_tokens + output_tokens)


def generate_answer(body: ChatBody, directive: Directive, prompt: str) -> Answer:
    """Deterministic. `prompt` is the user's text without the directive."""
    limit = body.token_limit
    calls = _function_calls(body, directive)
    if calls:
        return Answer((), "tool_calls", body.words, calls)
    tokens = _tokens(directive, prompt, body.response_format)
    reason: FinishReason = "content_filter" if directive.is_filtered else "stop"
    if limit is not None and len(tokens) > limit:
        tokens, reason = tokens[:limit], "length"
    return Answer(tokens, reason, prompt_tokens=body.words)


def _function_calls(body: ChatBody, directive: Directive) -> tuple[FunctionCall, ...]:
    """Calls of the first functions that the request offers; none if the last message is a function's output."""
    if not body.is_user_turn:
        return ()
    functions = [tool.function for tool in body.tools[: directive.calls]]
    return tuple(
        FunctionCall(function.name, fake_value(function.parameters or {"type": "object"})) for function in functions
    )


def _tokens(directive: Directive, prompt: str, response_format: ResponseFormat) -> tuple[str, ...]:
    is_plain = directive.say is None and directive.tokens is None
    if is_plain and response_format.type == "json_schema":
        return tuple(_TOKEN.findall(json.dumps(fake_value(response_format.json_schema.schema_dict))))
    if directive.tokens is not None:
        return tuple(f" w{number}" if number else "w0" for number in range(directive.tokens))
    text = _default_text(prompt) if directive.say is None else directive.say
    return tuple(_TOKEN.findall(text))


def _default_text(prompt: str) -> str:
    parsed = parse_prompt(prompt)
    return extract_answer(*parsed) if parsed else _describe_prompt(prompt)


def _describe_prompt(prompt: str) -> str:
    """A text that cannot be mistaken for a model's answer."""
    words = prompt.split()
    notice = "This is the offline model of chatqueue: no language model wrote this."
    if not words:
        return f"{notice} You sent no words."
    beginning = " ".join(words[:_QUOTED_WORDS])[:_QUOTED_CHARS]
    if len(words) == 1:
        return f'{notice} You sent 1 word: "{beginning}"'
    return f'{notice} You sent {len(words)} words; they begin: "{beginning}"'
