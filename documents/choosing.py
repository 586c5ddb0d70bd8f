"""Choosing: which of the found chunks the model gets to see, and whether there is anything to answer from at all.

The rule, pure and the same for every model. A chunk *fits* a question when

- its vector is near the question's (cosine of at least MIN_SIMILARITY), or
- it has most of the question's telling words (by weight, at least MIN_COVERAGE; a word weighs the more, the fewer of
  the found chunks have it, and most when none has).

When no found chunk fits, the answer is not in the documents, and no model is asked. When one fits, the best go before
the model in the order of the search, as many as the token budget holds, and the model may still say that they do not
answer the question.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from documents.models import Found, Source
from documents.words import count_tokens, stems

MIN_SIMILARITY: Final = 0.4
MIN_COVERAGE: Final = 0.6
MAX_SOURCES: Final = 8
_TOKENS_AROUND: Final = 30  # number, name, page and marks of one source


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each of the question's telling words says."""

    of: Mapping[str, float]

    def coverage(self, text: str) -> float:
        """The share of the question's words, by weight, that the text has: 0 to 1."""
        total = sum(self.of.values())
        if not total:
            return 0.0
        had = self.of.keys() & set(stems(text))
        return sum(self.of[word] for word in had) / total


def weigh(question: str, texts: Sequence[str]) -> Weights:
    words = [set(stems(text)) for text in texts]
    return Weights(
        {
            word: math.log(1 + (len(words) + 1) / (1 + sum(word in those for those in words)))
            for word in sorted(set(stems(question)))
        }
    )


def choose(
    question: str,
    found: Sequence[Found],
    filenames: Mapping[str, str],
    max_tokens: int,
    min_similarity: float = MIN_SIMILARITY,
) -> tuple[Source, ...]:
    """The sources to answer from, numbered from 1; none when the answer is not in the documents."""
    weights = weigh(question, [one.chunk.text for one in found])
    coverages = [weights.coverage(one.chunk.text) for one in found]
    if not any(
        one.similarity >= min_similarity or coverage >= MIN_COVERAGE
        for one, coverage in zip(found, coverages, strict=True)
    ):
        return ()
    sources: list[Source] = []
    for one, coverage in zip(found, coverages, strict=True):
        tokens = count_tokens(one.chunk.text) + _TOKENS_AROUND
        if tokens > max_tokens or len(sources) == MAX_SOURCES or one.document_id not in filenames:
            continue
        max_tokens -= tokens
        sources.append(_source(len(sources) + 1, one, filenames[one.document_id], coverage))
    return tuple(sources)


def _source(number: int, one: Found, filename: str, coverage: float) -> Source:
    score = round(min(1.0, max(one.similarity, coverage, 0.0)), 4)
    return Source(number, one.document_id, filename, one.chunk.page, one.chunk.text, score)
