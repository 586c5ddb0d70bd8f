"""The older API of text completions: its request, its answers, and its streams."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

from pydantic import Discriminator, Field, Tag

from local.offline_model.answers import Answer, split_tokens
from local.offline_model.bodies import (
    AnswerRequest,
    Choices,
    Penalty,
    SamplingBody,
    Stop,
    StreamOptions,
    check_stream_options,
    stop_sequences,
)
from local.offline_model.body_errors import BodyError, kind_of_value, tag
from local.offline_model.framing import DONE
from local.offline_model.logprobs import text_logprobs
from local.offline_model.wire import event
from openai_format.types import JsonObject
from openai_format.usage import TokenCounts, chat_usage

_DEFAULT_TOKENS: Final = 16
_MAX_PROMPTS: Final = 2_048
_END_OF_TEXT: Final = "<|endoftext|>"  # the prompt of a request without one
_Tokens = Annotated[list[int], Field(min_length=1)]
_OnePrompt = Annotated[
    Annotated[str, Tag(tag("string"))] | Annotated[_Tokens, Tag(tag("array"))],
    kind_of_value("one of a string or an array of integers", "string", "array"),
]


def _kind_of_prompt(value: Any) -> str | None:
    if isinstance(value, str):
        return tag("string")
    if not isinstance(value, list):
        return None
    return tag("tokens") if value and isinstance(value[0], int) else tag("array")


_kind_of_prompt.__name__ = "one of a string, an array of strings, an array of integers, or an array of token arrays"


class TextCompletionBody(SamplingBody):
    prompt: Annotated[
        Annotated[str, Tag(tag("string"))]
        | Annotated[_Tokens, Tag(tag("tokens"))]
        | Annotated[list[_OnePrompt], Field(min_length=1, max_length=_MAX_PROMPTS), Tag(tag("array"))],
        Discriminator(_kind_of_prompt),
    ] = _END_OF_TEXT
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int, Field(ge=0)] = _DEFAULT_TOKENS
    n: Choices = 1
    best_of: Annotated[int, Field(ge=1, le=20)] | None = None
    stop: Stop | None = None
    echo: bool = False
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    suffix: str | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    seed: int | None = None

    @property
    def wants_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage

    def prompts(self) -> list["Prompt"]:
        """Each prompt with its tokens. A token id is shown as its number. Raises BodyError."""
        self._check()
        is_single = isinstance(self.prompt, str) or isinstance(self.prompt[0], int)
        return [Prompt.of(prompt) for prompt in ([self.prompt] if is_single else self.prompt)]

    def answer_request(self, prompt: "Prompt") -> AnswerRequest:
        return AnswerRequest(
            prompt=prompt.text,
            words=len(prompt.tokens),
            token_limit=self.max_tokens,
            stop=stop_sequences(self.stop),
            choices=self.n,
            top_logprobs=self.logprobs,
        )

    def _check(self) -> None:
        check_stream_options(self.stream, self.stream_options)
        if self.best_of is None:
            return
        if self.best_of < self.n:
            message = (
                "You requested that the server return more choices than it will generate "
                f"(HINT: you must set 'n' (currently {self.n}) to be at most 'best_of' (currently {self.best_of}), "
                "or omit either parameter if you don't specifically want to use them.)"
            )
            raise BodyError(message, "best_of")
        if self.stream and self.best_of > 1:
            raise BodyError("'best_of' greater than 1 is not supported with 'stream'.", "best_of")


@dataclass(frozen=True, slots=True)
class Prompt:
    text: str = field(repr=False)
    tokens: tuple[str, ...] = field(repr=False)

    @classmethod
    def of(cls, prompt: Any) -> "Prompt":
        if isinstance(prompt, str):
            return cls(prompt, split_tokens(prompt))
        tokens = tuple(f" {number}" if place else f"{number}" for place, number in enumerate(prompt))
        return cls("".join(tokens), tokens)


@dataclass(frozen=True, slots=True)
class _Choice:
    """One choice: ``tokens`` of its text, the prompt's first if it is echoed."""

    index: int
    prompt: Prompt
    answer: Answer


class TextCompletion:
    """One call: the object `text_completion`, or its chunks. Every prompt has ``n`` choices."""

    def __init__(self, body: TextCompletionBody, prompts: Sequence[Prompt], answers: Sequence[Answer]) -> None:
        self._body = body
        self._prompts = prompts
        self._answers = answers
        self._choices = [
            _Choice(place * body.n + number, prompt, answer)
            for place, (prompt, answer) in enumerate(zip(prompts, answers, strict=True))
            for number in range(body.n)
        ]
        self._head: JsonObject = {
            "id": f"cmpl-{secrets.token_hex(12)}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": body.model,
        }
        self._sent = 0

    @property
    def longest(self) -> Answer:
        """The answer with the most tokens, which decides how long a stream takes."""
        return max(self._answers, key=lambda answer: len(answer.tokens))

    def body(self) -> JsonObject:
        choices = [self._choice(choice, 0, None) for choice in self._choices]
        return {**self._head, "choices": choices, "usage": self._usage()}

    def start(self) -> bytes:
        """The prompts, if they are echoed."""
        if not self._body.echo:
            return b""
        return self._encode([self._choice(choice, 0, 0) for choice in self._choices])

    def encode_tokens(self, tokens: tuple[str, ...]) -> bytes:
        """The next tokens of each choice, one event each."""
        begin, self._sent = self._sent, self._sent + len(tokens)
        return self._encode(
            [
                self._token(choice, place)
                for place in range(begin, self._sent)
                for choice in self._choices
                if place < len(choice.answer.tokens)
            ]
        )

    def end(self, answer: Answer) -> bytes:
        """The finish reasons, the usage if it was requested, and ``[DONE]``."""
        is_finished = answer.finish_reason is not None
        events = self._encode([self._last(choice, is_finished=is_finished) for choice in self._choices])
        if self._body.wants_usage:
            events += event({**self._head, "choices": [], "usage": self._usage()}).encode()
        return events + DONE

    def _encode(self, choices: list[JsonObject]) -> bytes:
        usage = {"usage": None} if self._body.wants_usage else {}
        return "".join(event({**self._head, "choices": [choice], **usage}) for choice in choices).encode()

    def _choice(self, choice: _Choice, begin: int, end: int | None) -> JsonObject:
        """A choice with the prompt, if it is echoed, and these tokens of its answer."""
        answer, echoed = choice.answer, choice.prompt.tokens if self._body.echo else ()
        tokens = (*echoed, *answer.tokens[begin:end])
        is_whole = end is None
        text = (choice.prompt.text if self._body.echo else "") + "".join(answer.tokens[begin:end])
        offset = 0 if self._body.echo else len(choice.prompt.text)
        return {
            "index": choice.index,
            "text": text,
            "logprobs": self._logprobs(tokens, offset, starts_text=self._body.echo),
            "finish_reason": answer.finish_reason if is_whole else None,
        }

    def _token(self, choice: _Choice, place: int) -> JsonObject:
        token = choice.answer.tokens[place]
        offset = len(choice.prompt.text) + sum(map(len, choice.answer.tokens[:place])) if self._has_logprobs else 0
        logprobs = self._logprobs((token,), offset, starts_text=False)
        return {"index": choice.index, "text": token, "logprobs": logprobs, "finish_reason": None}

    def _last(self, choice: _Choice, *, is_finished: bool) -> JsonObject:
        reason = choice.answer.finish_reason if is_finished else None
        return {"index": choice.index, "text": "", "logprobs": None, "finish_reason": reason}

    @property
    def _has_logprobs(self) -> bool:
        return self._body.logprobs is not None

    def _logprobs(self, tokens: tuple[str, ...], offset: int, *, starts_text: bool) -> JsonObject | None:
        top = self._body.logprobs
        return None if top is None else text_logprobs(tokens, top, offset, starts_text=starts_text)

    def _usage(self) -> JsonObject:
        """All choices count that were generated, also those that ``best_of`` leaves out."""
        generated = max(self._body.best_of or 1, self._body.n)
        prompt_tokens = sum(len(prompt.tokens) for prompt in self._prompts)
        tokens = sum(len(answer.tokens) for answer in self._answers) * generated
        return {**chat_usage(TokenCounts(prompt_tokens, tokens, prompt_tokens + tokens))}
