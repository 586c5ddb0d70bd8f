"""The offline model's answers: pure functions from request to tokens. A token is a word with its spaces."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from documents.answering.citations import extract_answer, extract_overview
from documents.answering.prompting import parse_overview_prompt, parse_prompt
from local.offline_model.bodies import AnswerFormat, AnswerRequest
from local.offline_model.body_errors import BodyError
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
    """The tokens, joined, are exactly the text. Every choice has the same.

    ``finish_reason`` is None if the directive leaves it out. ``top_logprobs``: None if no log-probabilities are wanted.
    """

    tokens: tuple[str, ...]
    finish_reason: FinishReason | None
    prompt_tokens: int
    calls: tuple[FunctionCall, ...] = ()
    choices: int = 1
    top_logprobs: int | None = None

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def counts(self) -> TokenCounts:
        """Function calls count as zero tokens."""
        output_tokens = len(self.tokens) * self.choices
        return TokenCounts(self.prompt_tokens, output_tokens, self.prompt_tokens + output_tokens)


def split_tokens(text: str) -> tuple[str, ...]:
    return tuple(_TOKEN.findall(text))


def generate_answer(request: AnswerRequest, directive: Directive, prompt: str) -> Answer:
    """Deterministic. ``prompt`` is the user's text without the directive."""
    limit = request.token_limit
    calls = _function_calls(request, directive)
    if calls:
        return Answer((), "tool_calls", request.words, calls, request.choices)
    tokens = _until_stop(_tokens(directive, prompt, request.answer_format), request.stop)
    reason: FinishReason = "content_filter" if directive.is_filtered else "stop"
    if limit is not None and len(tokens) > limit:
        tokens, reason = tokens[:limit], "length"
    return Answer(tokens, reason, request.words, choices=request.choices, top_logprobs=request.top_logprobs)


def _function_calls(request: AnswerRequest, directive: Directive) -> tuple[FunctionCall, ...]:
    """Calls of the first functions that the request offers.

    The directive asks for them once: not if the last message is a function's output. A forced call is made every time.
    """
    number = directive.calls if request.is_user_turn else 0
    if request.tool_choice == "required":
        number = max(number, 1)
    functions = request.functions[: min(number, request.max_calls or number)]
    if request.tool_choice == "none":
        functions = ()
    return tuple(
        FunctionCall(function.name, _value_for(function.parameters or {"type": "object"})) for function in functions
    )


def _tokens(directive: Directive, prompt: str, answer_format: AnswerFormat) -> tuple[str, ...]:
    if directive.tokens is not None:
        return tuple(f" w{number}" if number else "w0" for number in range(directive.tokens))
    if directive.say is not None:
        return split_tokens(directive.say)
    match answer_format.name:
        case "json_schema":
            return split_tokens(json.dumps(_value_for(answer_format.schema)))
        case "json_object":
            return split_tokens(json.dumps({"answer": _default_text(prompt)}))
    return split_tokens(_default_text(prompt))


def _value_for(schema: JsonObject) -> Any:
    """Raises BodyError for a schema that is not one."""
    try:
        return fake_value(schema)
    except ValueError:
        raise BodyError("Invalid schema: it is malformed.", code="invalid_json_schema") from None


def _until_stop(tokens: tuple[str, ...], stop: tuple[str, ...]) -> tuple[str, ...]:
    """The tokens before the first of the stop sequences."""
    if not stop:
        return tokens
    text = "".join(tokens)
    ends = [end for sequence in stop if (end := text.find(sequence)) >= 0]
    return split_tokens(text[: min(ends)]) if ends else tokens


def _default_text(prompt: str) -> str:
    if parts := parse_overview_prompt(prompt):
        return extract_overview(parts)
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
