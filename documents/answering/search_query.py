"""Builds the search query from the question, its pasted text and the user's earlier messages.

"And in the second year?" is too vague on its own, so the earlier messages are searched for as well. They are embedded
in the same provider call and have less weight, so a change of subject finds the new subject. A question without
earlier messages is searched for unchanged.

A long message usually contains pasted text with the question before or after it. It is searched for by its question;
the pasted text counts like an earlier message.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from documents.text import sentence_spans

_MAX_QUESTION_CHARS: Final = 1_000  # a longer message contains pasted text
_MAX_SENTENCE_CHARS: Final = 500  # of a question within a long message
_END_SENTENCES: Final = 3  # at each end of a long message, among which the question is looked for
_MAX_PASTED_CHARS: Final = 2_000  # of the pasted text, half from each end
_QUESTION_ENDS: Final = ("?", "\uff1f", "\u061f", "\u037e")
_MAX_PREVIOUS_MESSAGES: Final = 3  # enough for "and in the third?" after "and in the second year?"
_MAX_PREVIOUS_CHARS: Final = 2_000  # of the earlier messages together; the latest are kept
_PREVIOUS_WEIGHT: Final = (
    0.5  # of their vector; a chunk that is near only to the earlier messages keeps less than half of its cosine
)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    text: str = field(repr=False)
    previous_text: str = field(default="", repr=False)  # pasted text and earlier messages; '' if there are none
    questions: tuple[str, ...] = field(default=(), repr=False)  # each may be what is asked; empty: the text

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
    previous_text = "\n".join(previous_messages[-_MAX_PREVIOUS_MESSAGES:])[-_MAX_PREVIOUS_CHARS:].strip()
    if len(message) <= _MAX_QUESTION_CHARS:
        return SearchQuery(message, previous_text)
    questions = _find_questions(message)
    half = _MAX_PASTED_CHARS // 2
    pasted = message if len(message) <= _MAX_PASTED_CHARS else f"{message[:half]}\n{message[-half:]}"
    return SearchQuery("\n".join(questions), f"{previous_text}\n{pasted}".strip(), questions)


def _find_questions(message: str) -> tuple[str, ...]:
    """The questions at the ends of a long message; its first and last sentence if there are none."""
    ends = [message[:_MAX_PASTED_CHARS], message[-_MAX_PASTED_CHARS:]]
    first, last = ([end[start:stop] for start, stop in sentence_spans(end)] for end in ends)
    near_ends = [*first[:_END_SENTENCES], *last[-_END_SENTENCES:]]
    asked = [sentence for sentence in near_ends if sentence.rstrip("\"')\u201d ").endswith(_QUESTION_ENDS)]
    sentences = asked or [*first[:1], *last[-1:]] or [message]
    return tuple(dict.fromkeys(_shorten(sentence) for sentence in sentences))


def _shorten(sentence: str) -> str:
    """The end of a sentence that is too long: a text without stops may precede the question."""
    return sentence[-_MAX_SENTENCE_CHARS:]


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
