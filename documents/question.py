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

_LONGEST: Final = 8_000  # characters of the message; embedding models take about 8,000 tokens
_MESSAGES_BEFORE: Final = 3  # enough for "and in the third?" after "and in the second year?"
_LONGEST_BEFORE: Final = 2_000  # characters of these together, the latest of them
_WEIGHT_BEFORE: Final = 0.5  # of their vector: the cosine of a chunk that is near to them alone is less than halved


@dataclass(frozen=True, slots=True)
class Question:
    text: str = field(repr=False)
    before: str = field(default="", repr=False)  # '': it is the first

    @property
    def texts(self) -> tuple[str, ...]:
        """What has to be embedded."""
        return (self.text, self.before) if self.before else (self.text,)

    @property
    def words(self) -> str:
        """What is searched for by words."""
        return "\n".join(self.texts)


def pose(message: str, messages_before: Sequence[str]) -> Question:
    """`messages_before`: what the asker has said, the latest last."""
    before = "\n".join(messages_before[-_MESSAGES_BEFORE:])
    return Question(message[:_LONGEST], before[-_LONGEST_BEFORE:].strip())


def blend(vectors: Sequence["array[float]"]) -> "array[float]":
    """One vector to search by, out of those of the question's texts."""
    if len(vectors) == 1:
        return vectors[0]
    now, before = vectors
    share_now, share_before = 1 / _length(now), _WEIGHT_BEFORE / _length(before)
    return array("f", (a * share_now + b * share_before for a, b in zip(now, before, strict=True)))


def _length(vector: "array[float]") -> float:
    return math.hypot(*vector) or 1.0
