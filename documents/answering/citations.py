"""Citations: turns the source numbers in an answer into quotes, and builds an answer from quotes without a model."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Final, Self

from documents.answering.markers import find_marks
from documents.answering.requests import asks_for_whole_document, requested_pages
from documents.answering.source_selection import weigh
from documents.models import Source, SourceQuote
from documents.page_breaks import broken_sentence
from documents.text import keywords, normalize_text, sentence_spans, text_keywords

_MAX_CITATIONS: Final = 100  # per answer: each is compared with all sentences of its source
_MAX_CLAIM_CHARS: Final = 1_000  # of the text read before a source number
_MAX_QUOTE_CHARS: Final = 400
_MAX_SENTENCES: Final = 3  # of an extracted answer
_MIN_SENTENCE_KEYWORDS: Final = 8  # of a sentence that a summary quotes
_LEADERS: Final = re.compile(r"(?:\.\s?){4}")
_MIN_RELATIVE_COVERAGE: Final = 0.6  # share of the best sentence's coverage
EXTRACTED_NOTICE: Final = (
    "No language model wrote this answer: it quotes the sentences of the documents that best match the question."
)
NO_MATCH_NOTICE: Final = (
    "No language model wrote this answer: no sentence of the documents shares a word with the message."
)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A sentence, with its source. One that runs over the end of a page has two parts, one from each page."""

    parts: tuple[tuple[Source, str], ...]
    keywords: AbstractSet[str]

    @classmethod
    def of(cls, *parts: tuple[Source, str]) -> Self:
        return cls(parts, frozenset().union(*(text_keywords(text) for _, text in parts)))

    def quotes(self, claim_keywords: AbstractSet[str]) -> Iterator[SourceQuote]:
        support = len(claim_keywords & self.keywords) / len(claim_keywords) if claim_keywords else None
        for source, text in self.parts:
            yield SourceQuote(
                source.document_id,
                source.filename,
                source.page,
                text,
                source.score,
                None if support is None else round(support, 4),
            )


def extract_citations(answer: str, question: str, sources: Sequence[Source]) -> tuple[SourceQuote, ...]:
    """The citations of the answer, in order, from the first hundred numbers that refer to a source.

    Other numbers are ignored, and a quote that is cited twice is returned once. The quote is the sentence of the source
    that covers most keywords of the citing sentence and, with less weight, of the question. A sentence that runs over
    the end of a page gives a quote for each page.
    Takes up to a few tenths of a second of CPU time.
    """
    statements: dict[int, list[_Statement]] = {source.number: [] for source in sources}
    for statement in _statements(sources):
        for source, _ in statement.parts:
            statements[source.number].append(statement)
    question_keywords = keywords(question)
    quotes: dict[tuple[str, int, str], SourceQuote] = {}
    for claim, number in islice(_claims(answer, sources), _MAX_CITATIONS):
        claim_keywords = keywords(claim)
        best = _best(statements[number], claim_keywords, question_keywords)
        for quote in best.quotes(claim_keywords):
            quotes.setdefault((quote.document_id, quote.page, quote.quote), quote)
    return tuple(quotes.values())


def _best(statements: Sequence[_Statement], claim: AbstractSet[str], question: AbstractSet[str]) -> _Statement:
    """The statement with the highest coverage of these keywords. Those of the claim weigh more."""
    coverage = weigh(claim, [statement.keywords for statement in statements], question).coverage
    return max(statements, key=lambda statement: coverage(statement.keywords))


def extract_answer(question: str, sources: Sequence[Source]) -> str:
    """An answer without a language model: the best-matching sentences, each with its source number.

    A request for whole documents or pages, or one without keywords, is answered with the first sentences.
    """
    statements = list(_statements(sources))
    question_keywords = keywords(question)
    if asks_for_whole_document(question):  # its own words ("document") say nothing about the sentences
        question_keywords = frozenset()
        statements = [statement for statement in statements if _is_prose(statement)] or statements
    weights = weigh(question_keywords, [statement.keywords for statement in statements])
    coverages = [weights.coverage(statement.keywords) for statement in statements]
    asks_for_sentences = not question_keywords or requested_pages(question)
    if not max(coverages) and not asks_for_sentences:
        return NO_MATCH_NOTICE
    min_coverage = max(coverages) * _MIN_RELATIVE_COVERAGE
    ranked = sorted(zip(coverages, statements, strict=True), key=lambda pair: -pair[0])
    line_by_text: dict[str, str] = {}
    for coverage, statement in ranked:
        if coverage >= min_coverage:
            texts = [normalize_text(text) for _, text in statement.parts]
            line = " ".join(
                f"{text} [{source.number}]" for text, (source, _) in zip(texts, statement.parts, strict=True)
            )
            line_by_text.setdefault(" ".join(texts), line)
    return "\n\n".join([EXTRACTED_NOTICE, *islice(line_by_text.values(), _MAX_SENTENCES)])


def _is_prose(statement: _Statement) -> bool:
    """Whether a summary may quote the sentence: it is no heading, number or line of a table of contents."""
    has_leaders = any(_LEADERS.search(text) for _, text in statement.parts)
    return len(statement.keywords) >= _MIN_SENTENCE_KEYWORDS and not has_leaders


def extract_overview(summaries: Sequence[str]) -> str:
    """An overview without a language model: the first cited line of the first summaries."""
    cited = (next((line for line in summary.splitlines() if line.endswith("]")), "") for summary in summaries)
    return "\n\n".join([EXTRACTED_NOTICE, *islice(filter(None, cited), _MAX_SENTENCES)])


def _statements(sources: Sequence[Source]) -> Iterator[_Statement]:
    """The sentences of the sources in order. Every source has at least one."""
    second_half = ""  # the part of the present source that belongs to a sentence of the previous one
    for source, next_source in zip_longest(sources, sources[1:]):
        halves = _halves(source, next_source)
        is_broken = False
        for start, end in _sentences(source.text):
            sentence = source.text[start:end]
            if second_half and second_half in sentence:
                second_half = ""
            elif halves and halves[0] in sentence:
                is_broken = True
                yield _Statement.of((source, halves[0]), (next_source, halves[1]))
            else:
                yield _Statement.of((source, sentence))
        second_half = halves[1] if halves and is_broken else ""


def _halves(source: Source, next_source: Source | None) -> tuple[str, str] | None:
    """The halves of a sentence that runs from one source into the next; see `documents.page_breaks`."""
    if next_source is None or (next_source.document_id, next_source.filename) != (source.document_id, source.filename):
        return None
    return broken_sentence(source.text, next_source.text) if next_source.page == source.page + 1 else None


def _claims(answer: str, sources: Sequence[Source]) -> Iterator[tuple[str, int]]:
    """Each source number that the answer cites, with the sentence before it ('' if there is none)."""
    start, claim = 0, ""
    for mark in find_marks(answer, sources):
        if not start or any(char.isalnum() for char in answer[start : mark.start]):  # else a second mark of one claim
            claim = _last_sentence(answer, max(start, mark.start - _MAX_CLAIM_CHARS), mark.start)
        yield from ((claim, number) for number in mark.numbers)
        start = mark.end


def _last_sentence(text: str, start: int, end: int) -> str:
    spans = list(sentence_spans(text, start, end))
    return text[slice(*spans[-1])] if spans else ""


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """The span of each sentence. A sentence longer than a quote may be is cut at whitespace."""
    for start, end in sentence_spans(text):
        yield start, end if end - start <= _MAX_QUOTE_CHARS else _last_whitespace(text, start, start + _MAX_QUOTE_CHARS)


def _last_whitespace(text: str, start: int, end: int) -> int:
    position = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return position if position > start else end
