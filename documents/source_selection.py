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
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from documents.models import Found, Source
from documents.prompting import count_prompt_tokens
from documents.words import telling_words

MIN_COVERAGE: Final = 0.4  # measured over 950 pages: at most 0.29 for a question that they do not answer
WORDS_BEFORE: Final = 0.6  # at most, of the weight of the question's words; 0.6 of 1.6 is less than MIN_COVERAGE
MAX_SOURCES: Final = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each of the question's telling words says."""

    of: Mapping[str, float]
    total: float

    def coverage(self, had: AbstractSet[str]) -> float:
        """The share of the question's words, by weight, that a text with these telling words has: 0 to 1."""
        return math.fsum(self.of[word] for word in self.of.keys() & had) / self.total if self.total else 0.0


def weigh(
    asked: AbstractSet[str], had: Sequence[AbstractSet[str]], asked_before: AbstractSet[str] = frozenset()
) -> Weights:
    """All by their telling words: the question, each of the texts, and what was asked before the question."""
    counts = Counter(word for words in had for word in words)
    now = _rarities(asked, counts, len(had))
    before = _rarities(asked_before - asked, counts, len(had))
    most, total = WORDS_BEFORE * math.fsum(now.values()), math.fsum(before.values())
    share = most / total if 0 < most < total else 1.0
    of = now | {word: share * weight for word, weight in before.items()}
    return Weights(of, math.fsum(of.values()))


def _rarities(words: Collection[str], counts: Mapping[str, int], texts: int) -> dict[str, float]:
    """Each word's weight, by how many of the texts have it."""
    return {word: math.log(1 + (texts + 1) / (1 + counts.get(word, 0))) for word in words}


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
    had = [telling_words(one.chunk.text) for one in allowed]
    weights = weigh(telling_words(question), had, telling_words(before))
    pairs = [(one, weights.coverage(words)) for one, words in zip(allowed, had, strict=True)]
    if not any(one.similarity >= min_similarity or coverage >= MIN_COVERAGE for one, coverage in pairs):
        return ()
    sources = [_source(one, filenames[one.document_id], _score(one, coverage)) for one, coverage in pairs]
    kept = _within(sorted(sources, key=lambda source: -source.score), max_tokens)
    return tuple(replace(source, number=number) for number, source in enumerate(kept, start=1))


def _source(found: Found, filename: str, score: float) -> Source:
    """Without a number yet."""
    return Source(0, found.document_id, filename, found.chunk.page, found.chunk.text, score)


def _score(one: Found, coverage: float) -> float:
    return round((max(0.0, min(1.0, one.similarity)) + coverage) / 2, 4)


def _within(sources: Sequence[Source], max_tokens: int) -> list[Source]:
    """As many as there is room for; a shorter one may take the place that a longer one cannot."""
    kept: list[Source] = []
    for source in sources:
        tokens = count_prompt_tokens(source)
        if tokens <= max_tokens and len(kept) < MAX_SOURCES:
            max_tokens -= tokens
            kept.append(source)
    return kept
