"""Builds the search query from the question and the user's earlier messages.

"And in the second year?" is too vague on its own, so the earlier messages are searched for as well. They are embedded
in the same provider call and have less weight, so a change of subject finds the new subject. A question without
earlier messages is searched for unchanged.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

_MAX_MESSAGE_CHARS: Final = 8_000  # embedding models accept about 8,000 tokens
_MAX_PREVIOUS_MESSAGES: Final = 3  # enough for "and in the third?" after "and in the second year?"
_MAX_PREVIOUS_CHARS: Final = 2_000  # of the earlier messages together; the latest are kept
_PREVIOUS_WEIGHT: Final = (
    0.5  # of their vector; a chunk that is near only to the earlier messages keeps less than half of its cosine
)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    text: str = field(repr=False)
    previous_text: str = field(default="", repr=False)  # '' for the first question

    @property
    def texts(self) -> tuple[str, ...]:
        """The texts to embed."""
        return (self.text, self.previous_text) if self.previous_text else (self.text,)

    @property
    def search_text(self) -> str:
        """The text for full-text search."""
        return "\n".join(self.texts)


def build_query(message: str, previous_messages: Sequence[str]) -> SearchQuery:
    """`previous_messages` are the user's earlier messages, the latest last."""
    previous_text = "\n".join(previous_messages[-_MAX_PREVIOUS_MESSAGES:])
    return SearchQuery(message[:_MAX_MESSAGE_CHARS], previous_text[-_MAX_PREVIOUS_CHARS:].strip())


def combine(vectors: Sequence["array[float]"]) -> "array[float]":
    """The weighted sum of the vectors of `SearchQuery.texts`, which is the vector to search by."""
    if len(vectors) == 1:
        return vectors[0]
    question_vector, previous_vector = vectors
    question_factor, previous_factor = 1 / _length(question_vector), _PREVIOUS_WEIGHT / _length(previous_vector)
    return array(
        "f", (a * question_factor + b * previous_factor for a, b in zip(question_vector, previous_vector, strict=True))
    )


def _length(vector: "array[float]") -> float:
    return math.hypot(*vector) or 1.0
