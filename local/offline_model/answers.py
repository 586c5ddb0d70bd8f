"""What the offline model says: pure functions from request to words. A token is a word with its spaces."""

import re
from dataclasses import dataclass
from typing import Literal

from local.offline_model.bodies import ChatBody
from local.offline_model.directive import Directive

FinishReason = Literal["stop", "length", "content_filter"]

_TOKEN = re.compile(r"\s*\S+|\s+$")
_QUOTED_WORDS = 8
_QUOTED_CHARS = 80


@dataclass(frozen=True, slots=True)
class Answer:
    """Joined, the tokens are the text, to the character."""

    tokens: tuple[str, ...]
    finish_reason: FinishReason
    prompt_tokens: int

    @property
    def text(self) -> str:
        return "".join(self.tokens)


def answer(body: ChatBody, directive: Directive, prompt: str) -> Answer:
    """The same answer for the same request. `prompt` is the user's text without the directive."""
    limit = body.token_limit
    tokens = _tokens(directive, prompt)
    reason: FinishReason = "content_filter" if directive.is_filtered else "stop"
    if limit is not None and len(tokens) > limit:
        tokens, reason = tokens[:limit], "length"
    return Answer(tokens, reason, prompt_tokens=body.words)


def _tokens(directive: Directive, prompt: str) -> tuple[str, ...]:
    if directive.tokens is not None:
        return tuple(f" w{number}" if number else "w0" for number in range(directive.tokens))
    text = _introduce(prompt) if directive.say is None else directive.say
    return tuple(_TOKEN.findall(text))


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
