"""Choosing: which of the found chunks the model gets to see, and whether there is anything to answer from at all.

The rule, pure and the same for every model. A chunk *fits* a question when

- its vector is near the question's (cosine of at least `min_similarity`), or
- it has the question's telling words (their coverage is at least MIN_COVERAGE; a word weighs the more, the fewer of
  the found chunks have it, and most when none has).

In a conversation the words of what was asked before count as well, but together for less than the question's own
(PREVIOUS_KEYWORDS_WEIGHT): they decide between chunks that both fit, and fit nothing by themselves. Only when the question has no
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

from documents.answering.prompting import count_prompt_tokens
from documents.models import SearchHit, Source
from documents.text import keywords

MIN_COVERAGE: Final = 0.4  # measured over 950 pages: at most 0.29 for a question that they do not answer
PREVIOUS_KEYWORDS_WEIGHT: Final = (
    0.6  # at most, of the weight of the question's words; 0.6 of 1.6 is less than MIN_COVERAGE
)
MAX_SOURCES: Final = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each of the question's telling words says."""

    by_word: Mapping[str, float]
    total: float

    def coverage(self, text_keywords: AbstractSet[str]) -> float:
        """The share of the question's words, by weight, that a text with these telling words has: 0 to 1."""
        return (
            math.fsum(self.by_word[word] for word in self.by_word.keys() & text_keywords) / self.total
            if self.total
            else 0.0
        )


def weigh(
    question_keywords: AbstractSet[str],
    text_keywords: Sequence[AbstractSet[str]],
    previous_keywords: AbstractSet[str] = frozenset(),
) -> Weights:
    """All by their telling words: the question, each of the texts, and what was asked before the question."""
    counts = Counter(word for words in text_keywords for word in words)
    question_weights = _inverse_frequencies(question_keywords, counts, len(text_keywords))
    previous_weights = _inverse_frequencies(previous_keywords - question_keywords, counts, len(text_keywords))
    max_total, total = (
        PREVIOUS_KEYWORDS_WEIGHT * math.fsum(question_weights.values()),
        math.fsum(previous_weights.values()),
    )
    share = max_total / total if 0 < max_total < total else 1.0
    by_word = question_weights | {word: share * weight for word, weight in previous_weights.items()}
    return Weights(by_word, math.fsum(by_word.values()))


def _inverse_frequencies(words: Collection[str], counts: Mapping[str, int], texts: int) -> dict[str, float]:
    """Each word's weight, by how many of the texts have it."""
    return {word: math.log(1 + (texts + 1) / (1 + counts.get(word, 0))) for word in words}


def select_sources(
    question: str,
    hits: Sequence[SearchHit],
    filenames: Mapping[str, str],
    max_tokens: int,
    min_similarity: float,
    previous_text: str = "",
) -> tuple[Source, ...]:
    """The sources to answer from, numbered from 1, the best first; none when the answer is not in the documents.

    `filenames` are of the documents that may be cited, by id: a chunk of any other is left out. `before`: what was
    asked before the question.
    """
    allowed = [hit for hit in hits if hit.document_id in filenames]
    text_keywords = [keywords(hit.chunk.text) for hit in allowed]
    weights = weigh(keywords(question), text_keywords, keywords(previous_text))
    scored_hits = [(hit, weights.coverage(words)) for hit, words in zip(allowed, text_keywords, strict=True)]
    if not any(hit.similarity >= min_similarity or coverage >= MIN_COVERAGE for hit, coverage in scored_hits):
        return ()
    sources = [_source(hit, filenames[hit.document_id], _score(hit, coverage)) for hit, coverage in scored_hits]
    selected = _fit_token_budget(sorted(sources, key=lambda source: -source.score), max_tokens)
    return tuple(replace(source, number=number) for number, source in enumerate(selected, start=1))


def _source(hit: SearchHit, filename: str, score: float) -> Source:
    """Without a number yet."""
    return Source(0, hit.document_id, filename, hit.chunk.page, hit.chunk.text, score)


def _score(hit: SearchHit, coverage: float) -> float:
    return round((max(0.0, min(1.0, hit.similarity)) + coverage) / 2, 4)


def _fit_token_budget(sources: Sequence[Source], max_tokens: int) -> list[Source]:
    """As many as there is room for; a shorter one may take the place that a longer one cannot."""
    selected: list[Source] = []
    for source in sources:
        tokens = count_prompt_tokens(source)
        if tokens <= max_tokens and len(selected) < MAX_SOURCES:
            max_tokens -= tokens
            selected.append(source)
    return selected
