"""Choosing: which of the found chunks the model gets to see, and whether there is anything to answer from at all.

The rule, pure and the same for every model. A chunk *fits* a question when

- its vector is near the question's (cosine of at least `min_similarity`), or
- it has the question's telling words (their coverage is at least MIN_COVERAGE; a word weighs the more, the fewer of
  the found chunks have it, and most when none has).

In a conversation the words of what was asked before count as well, but together for less than the question's own
(WORDS_BEFORE): they decide between chunks that both fit, and fit nothing by themselves. Only when the question has no
telling word ("and why?") they stand in for it.

When no found chunk fits, the answer is not in the documents, and no model needs to be asked. When one fits, the best
go before the model, as many as the token budget holds; the best are those whose similarity and coverage together are
highest. The model may still say that they do not answer the question: near the subject is not on it.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from documents.models import Found, Source
from documents.words import count_tokens, stems

MIN_COVERAGE: Final = 0.4  # measured over 950 pages: at most 0.29 for a question that they do not answer
WORDS_BEFORE: Final = 0.6  # at most, of the weight of the question's words; 0.6 of 1.6 is less than MIN_COVERAGE
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


def weigh(question: str, texts: Sequence[str], before: str = "") -> Weights:
    """`before`: what was asked before the question."""
    had = [set(stems(text)) for text in texts]
    asked = _rarities(set(stems(question)), had)
    asked_before = _rarities(set(stems(before)) - asked.keys(), had)
    most, total = WORDS_BEFORE * sum(asked.values()), sum(asked_before.values())
    share = most / total if 0 < most < total else 1.0
    return Weights(asked | {word: share * weight for word, weight in asked_before.items()})


def _rarities(words: Collection[str], had: Sequence[Collection[str]]) -> dict[str, float]:
    """Each word's weight, by how many of the texts have it."""
    return {word: math.log(1 + (len(had) + 1) / (1 + sum(word in those for those in had))) for word in sorted(words)}


def choose(
    question: str,
    found: Sequence[Found],
    filenames: Mapping[str, str],
    max_tokens: int,
    min_similarity: float,
    before: str = "",
) -> tuple[Source, ...]:
    """The sources to answer from, numbered from 1, the best first; none when the answer is not in the documents.

    `filenames` are of the documents that may be cited, by id: a chunk of any other is left out. `before`: what was
    asked before the question.
    """
    allowed = [one for one in found if one.document_id in filenames]
    weights = weigh(question, [one.chunk.text for one in allowed], before)
    coverages = [weights.coverage(one.chunk.text) for one in allowed]
    pairs = list(zip(allowed, coverages, strict=True))
    if not any(one.similarity >= min_similarity or coverage >= MIN_COVERAGE for one, coverage in pairs):
        return ()
    best = sorted(pairs, key=lambda pair: -_score(*pair))
    kept = _within([one for one, _ in best], max_tokens)
    scores = {one: _score(one, coverage) for one, coverage in best}
    return tuple(
        Source(number, one.document_id, filenames[one.document_id], one.chunk.page, one.chunk.text, scores[one])
        for number, one in enumerate(kept, start=1)
    )


def _score(one: Found, coverage: float) -> float:
    return round((max(0.0, min(1.0, one.similarity)) + coverage) / 2, 4)


def _within(found: Sequence[Found], max_tokens: int) -> list[Found]:
    """As many as there is room for; a shorter one may take the place that a longer one cannot."""
    kept: list[Found] = []
    for one in found:
        tokens = count_tokens(one.chunk.text) + _TOKENS_AROUND
        if tokens <= max_tokens and len(kept) < MAX_SOURCES:
            max_tokens -= tokens
            kept.append(one)
    return kept
