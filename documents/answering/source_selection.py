"""Selects the found chunks that are given to the model, and decides whether the documents answer the question at all.

The rule is pure and the same for every model. A chunk *matches* a question when

- its vector is near the question's (cosine of at least `min_similarity`), or
- it contains the question's keywords (coverage of at least MIN_COVERAGE). A keyword weighs more the fewer of the found
  chunks contain it, and most if none does.

In a conversation the keywords of the earlier messages count as well, but their total weight is lower than that of the
question's own (PREVIOUS_KEYWORDS_WEIGHT). They decide between chunks that both match, and never make a chunk match or
keep one from matching. Only if the question has no keyword ("and why?") do they replace it. The same holds for text
pasted into a long message.

If no found chunk matches, the documents do not answer the question, and no model is called. Otherwise the model is
given the best chunks that fit into the token budget; the best have the highest sum of similarity and coverage. The
model may still find that they do not answer the question: a chunk can be near the subject without answering it.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from documents.answering.prompting import count_prompt_tokens
from documents.models import Chunk, SearchHit, Source
from documents.page_breaks import broken_sentence, may_begin_broken, may_end_broken
from documents.text import keywords, text_keywords

MIN_COVERAGE: Final = 0.4  # measured on 950 pages: unanswered questions reach at most 0.29
PREVIOUS_KEYWORDS_WEIGHT: Final = 0.6  # upper limit, relative to the question's keywords; 0.6 / 1.6 < MIN_COVERAGE
MAX_SOURCES: Final = 8


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight of each keyword of the question and of the earlier messages."""

    by_word: Mapping[str, float]
    total: float

    def coverage(self, words: AbstractSet[str]) -> float:
        """The weight of the keywords that the text contains, as a share of the total weight: 0 to 1."""
        if not self.total:
            return 0.0
        return math.fsum(self.by_word[word] for word in self.by_word.keys() & words) / self.total


def weigh(
    question_keywords: AbstractSet[str],
    words_by_text: Sequence[AbstractSet[str]],
    previous_keywords: AbstractSet[str] = frozenset(),
) -> Weights:
    """Weigh the keywords of the question and of the earlier messages by how rare they are in the texts."""
    counts = Counter(word for words in words_by_text for word in words)
    question_weights = _inverse_frequencies(question_keywords, counts, len(words_by_text))
    previous_weights = _inverse_frequencies(previous_keywords - question_keywords, counts, len(words_by_text))
    max_total = PREVIOUS_KEYWORDS_WEIGHT * math.fsum(question_weights.values())
    total = math.fsum(previous_weights.values())
    factor = max_total / total if 0 < max_total < total else 1.0
    by_word = question_weights | {word: factor * weight for word, weight in previous_weights.items()}
    return Weights(by_word, math.fsum(by_word.values()))


def _inverse_frequencies(words: Collection[str], counts: Mapping[str, int], text_count: int) -> dict[str, float]:
    """Each word's weight, which falls with the number of texts that contain it."""
    return {word: math.log(1 + (text_count + 1) / (1 + counts.get(word, 0))) for word in words}


def select_sources(
    question: str,
    hits: Sequence[SearchHit],
    filenames: Mapping[str, str],
    max_tokens: int,
    min_similarity: float,
    previous_text: str = "",
    questions: Sequence[str] = (),
) -> tuple[Source, ...]:
    """The sources to answer from, numbered from 1, best first; empty if the documents do not answer the question.

    `filenames` maps the ids of the documents that may be cited; chunks of other documents are left out.
    `previous_text` contains pasted text and the user's earlier messages. `questions` are the parts of the question of
    which a chunk has to match one; none: the question itself.
    """
    allowed = [hit for hit in hits if hit.document_id in filenames]
    chunk_keywords = [text_keywords(hit.chunk.text) for hit in allowed]
    weights = weigh(keywords(question), chunk_keywords, keywords(previous_text))
    scored_hits = [(hit, weights.coverage(words)) for hit, words in zip(allowed, chunk_keywords, strict=True)]
    asked = [words for words in map(keywords, questions or (question,)) if words] or [keywords(previous_text)]
    parts = [weigh(words, chunk_keywords) for words in asked]
    best_coverage = max((part.coverage(words) for part in parts for words in chunk_keywords), default=0.0)
    if best_coverage < MIN_COVERAGE and not any(hit.similarity >= min_similarity for hit in allowed):
        return ()
    sources = [_source(hit, filenames[hit.document_id], _score(hit, coverage)) for hit, coverage in scored_hits]
    selected = _fit_token_budget(sorted(sources, key=lambda source: -source.score), max_tokens)
    return tuple(replace(source, number=number) for number, source in enumerate(selected, start=1))


def neighbours_over_page_ends(sources: Sequence[Source]) -> set[tuple[str, int]]:
    """Document and index of each chunk that may have the other half of a sentence of these sources."""
    wanted = set()
    for source in sources:
        if source.chunk_index is not None and may_end_broken(source.text):
            wanted.add((source.document_id, source.chunk_index + 1))
        if source.chunk_index and source.start == 0 and may_begin_broken(source.text):
            wanted.add((source.document_id, source.chunk_index - 1))
    return wanted


def with_broken_sentences(
    sources: Sequence[Source], neighbours: Collection[tuple[str, Chunk]], max_tokens: int
) -> tuple[Source, ...]:
    """The sources, each with the neighbour that has the other half of its sentence beside it, within the budget."""
    found = {(source.document_id, source.chunk_index): source for source in sources}
    for document_id, chunk in neighbours:
        near = found.get((document_id, chunk.index - 1)) or found.get((document_id, chunk.index + 1))
        if near and (document_id, chunk.index) not in found:
            hit = SearchHit(document_id, chunk, 0.0, 0.0)
            found[document_id, chunk.index] = _source(hit, near.filename, near.score)
    ordered: dict[tuple[str, int | None], Source] = {}
    for source in sources:
        index = source.chunk_index or 0
        group = [found.get((source.document_id, near)) for near in (index - 1, index, index + 1)]
        for part in _joined(*group):
            ordered.setdefault((part.document_id, part.chunk_index), part)
    selected = _fit_token_budget(list(ordered.values()), max_tokens)
    return tuple(replace(source, number=number) for number, source in enumerate(selected, start=1))


def _joined(before: Source | None, source: Source | None, after: Source | None) -> Iterator[Source]:
    """The source between those neighbours that share a sentence with it."""
    if source is None:
        return
    if before and before.page < source.page and broken_sentence(before.text, source.text):
        yield before
    yield source
    if after and after.page > source.page and broken_sentence(source.text, after.text):
        yield after


def _source(hit: SearchHit, filename: str, score: float) -> Source:
    """The source with number 0. The final number is assigned after the selection."""
    chunk = hit.chunk
    return Source(
        0, hit.document_id, filename, chunk.page, chunk.text, score, chunk.start, chunk.end, "match", chunk.index
    )


def _score(hit: SearchHit, coverage: float) -> float:
    return round((max(0.0, min(1.0, hit.similarity)) + coverage) / 2, 4)


def _fit_token_budget(sources: Sequence[Source], max_tokens: int) -> list[Source]:
    """The sources that fit into the token budget. One that does not fit is skipped; a later, shorter source may fit."""
    selected: list[Source] = []
    for source in sources:
        tokens = count_prompt_tokens(source)
        if tokens <= max_tokens and len(selected) < MAX_SOURCES:
            max_tokens -= tokens
            selected.append(source)
    return selected
