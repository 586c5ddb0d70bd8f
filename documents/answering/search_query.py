"""The question: what is searched for, with what the asker said before it.

"And in the second year?" says too little by itself. So the messages before it are searched for as well, in the same
call for vectors; they weigh less, so that a change of subject finds the new one. A question with nothing before it is
searched for as it is.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_MAX_MESSAGE_CHARS: Final = 8_000  # characters of the message; embedding models take about 8,000 tokens
_MAX_PREVIOUS_MESSAGES: Final = 3  # enough for "and in the third?" after "and in the second year?"
_MAX_PREVIOUS_CHARS: Final = 2_000  # characters of these together, the latest of them
_PREVIOUS_WEIGHT: Final = 0.5  # of their vector: the cosine of a chunk that is near to them alone is less than halved


@dataclass(frozen=True, slots=True)
class SearchQuery:
    text: str = field(repr=False)
    previous_text: str = field(default="", repr=False)  # '': it is the first

    @property
    def texts(self) -> tuple[str, ...]:
        """What has to be embedded."""
        return (self.text, self.previous_text) if self.previous_text else (self.text,)

    @property
    def search_text(self) -> str:
        """What is searched for by words."""
        return "\n".join(self.texts)


def build_query(message: str, previous_messages: Sequence[str]) -> SearchQuery:
    """`previous_messages`: what the asker has said, the latest last."""
    previous_text = "\n".join(previous_messages[-_MAX_PREVIOUS_MESSAGES:])
    return SearchQuery(message[:_MAX_MESSAGE_CHARS], previous_text[-_MAX_PREVIOUS_CHARS:].strip())


def combine(vectors: Sequence["array[float]"]) -> "array[float]":
    """One vector to search by, out of those of the question's texts."""
    if len(vectors) == 1:
        return vectors[0]
    question_vector, previous_vector = vectors
    question_factor, previous_factor = 1 / _length(question_vector), _PREVIOUS_WEIGHT / _length(previous_vector)
    return array(
        "f", (a * question_factor + b * previous_factor for a, b in zip(question_vector, previous_vector, strict=True))
    )


def _length(vector: "array[float]") -> float:
    return math.hypot(*vector) or 1.0
