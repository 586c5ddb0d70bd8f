"""Log-probabilities of tokens, invented but well-formed: the same token always has the same ones."""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from openai_format.types import JsonObject

_MIN_PROBABILITY: Final = 0.5  # of the token of the answer, so that it is always the most probable one
_STEPS: Final = 400  # above the minimum, in thousandths


def token_logprob(token: str) -> float:
    """The natural logarithm of a probability between 0.5 and 0.9."""
    digest = int.from_bytes(blake2b(token.encode(), digest_size=4).digest())
    return round(math.log(_MIN_PROBABILITY + digest % _STEPS / 1000), 6)


def alternatives(token: str, number: int) -> list[tuple[str, float]]:
    """The ``number`` most probable tokens in this place. The first is the token itself; all add up to less than 1."""
    rest = 1 - math.exp(token_logprob(token))
    others = [other for place in range(number + 1) if (other := f" other{place}") != token]
    invented = [(other, round(math.log(rest / 2**place), 6)) for place, other in enumerate(others, 1)]
    return [(token, token_logprob(token)), *invented][:number]


def chat_logprobs(tokens: Sequence[str], top: int) -> JsonObject:
    """The log-probabilities of a chat completion's choice."""
    return {"content": token_logprobs(tokens, top), "refusal": None}


def token_logprobs(tokens: Sequence[str], top: int) -> list[JsonObject]:
    """One entry for each token, as in chat completions and responses."""
    return [
        _entry(token, token_logprob(token))
        | {"top_logprobs": [_entry(other, logprob) for other, logprob in alternatives(token, top)]}
        for token in tokens
    ]


def text_logprobs(tokens: Sequence[str], top: int, offset: int, *, starts_text: bool) -> JsonObject:
    """The log-probabilities of a text completion's choice. ``offset``: where its first token stands in the text.

    The first token of a text has none, because nothing comes before it.
    """
    values: list[float | None] = list(map(token_logprob, tokens))
    tops: list[dict[str, float] | None] = [dict(alternatives(token, max(1, top))) for token in tokens]
    if starts_text and tokens:
        values[0] = tops[0] = None
    offsets = [offset]
    for token in tokens:
        offsets.append(offsets[-1] + len(token))
    return {
        "tokens": list(tokens),
        "token_logprobs": values,
        "top_logprobs": tops if top else None,
        "text_offset": offsets[:-1],
    }


def _entry(token: str, logprob: float) -> JsonObject:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
