"""Citations: turns the source numbers in an answer into quotes, and builds an answer from quotes without a model."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from documents.answering.markers import find_marks
from documents.answering.requests import asks_for_whole_document, requested_pages
from documents.answering.source_selection import weigh
from documents.models import Source, SourceQuote
from documents.text import keywords, normalize_text, sentence_spans, text_keywords

_MAX_CITATIONS: Final = 100  # per answer: each is compared with all sentences of its source
_MAX_CLAIM_CHARS: Final = 1_000  # of the text read before a source number
_MAX_QUOTE_CHARS: Final = 400
_MAX_SENTENCES: Final = 3  # of an extracted answer
_MIN_RELATIVE_COVERAGE: Final = 0.6  # share of the best sentence's coverage
EXTRACTED_NOTICE: Final = (
    "No language model wrote this answer: it quotes the sentences of the documents that best match the question."
)
NO_MATCH_NOTICE: Final = (
    "No language model wrote this answer: no sentence of the documents shares a word with the message."
)


@dataclass(frozen=True, slots=True)
class _SourceSentences:
    """A source split into sentences, with the keywords of each."""

    source: Source
    sentences: tuple[str, ...]
    keywords: tuple[AbstractSet[str], ...]

    @classmethod
    def from_source(cls, source: Source) -> Self:
        sentences = tuple(source.text[start:end] for start, end in _sentences(source.text))
        return cls(source, sentences, tuple(map(text_keywords, sentences)))

    def cite(self, claim_keywords: AbstractSet[str], question_keywords: AbstractSet[str]) -> SourceQuote:
        """Quote the sentence with the highest coverage of these keywords. Those of the claim weigh more."""
        coverage = weigh(claim_keywords, self.keywords, question_keywords).coverage
        best = max(range(len(self.sentences)), key=lambda index: coverage(self.keywords[index]))
        source, quote = self.source, self.sentences[best]
        support = len(claim_keywords & self.keywords[best]) / len(claim_keywords) if claim_keywords else None
        return SourceQuote(
            source.document_id, source.filename, source.page, quote, source.score, support, *source.place_of(quote)
        )


def extract_citations(answer: str, question: str, sources: Sequence[Source]) -> tuple[SourceQuote, ...]:
    """The citations of the answer, in order, from the first hundred numbers that refer to a source.

    Other numbers are ignored, and a quote that is cited twice is returned once. The quote is the sentence of the source
    that covers most keywords of the citing sentence and, with less weight, of the question.
    Takes up to a few tenths of a second of CPU time.
    """
    sources_by_number = {source.number: _SourceSentences.from_source(source) for source in sources}
    question_keywords = keywords(question)
    quotes: dict[tuple[int, str], SourceQuote] = {}
    for claim, number in islice(_claims(answer, sources), _MAX_CITATIONS):
        citation = sources_by_number[number].cite(keywords(claim), question_keywords)
        quotes.setdefault((number, citation.quote), citation)
    return tuple(quotes.values())


def extract_answer(question: str, sources: Sequence[Source]) -> str:
    """An answer without a language model: the best-matching sentences, each with its source number.

    A request for whole documents or pages, or one without keywords, is answered with the first sentences.
    """
    sentences = [
        (source.number, normalize_text(source.text[start:end]))
        for source in sources
        for start, end in _sentences(source.text)
    ]
    sentence_keywords = [text_keywords(text) for _, text in sentences]
    question_keywords = keywords(question)
    weights = weigh(question_keywords, sentence_keywords)
    coverages = list(map(weights.coverage, sentence_keywords))
    asks_for_sentences = not question_keywords or asks_for_whole_document(question) or requested_pages(question)
    if not max(coverages) and not asks_for_sentences:
        return NO_MATCH_NOTICE
    min_coverage = max(coverages) * _MIN_RELATIVE_COVERAGE
    ranked = sorted(zip(coverages, sentences, strict=True), key=lambda pair: -pair[0])
    number_by_text: dict[str, int] = {}
    for coverage, (number, text) in ranked:
        if coverage >= min_coverage:
            number_by_text.setdefault(text, number)
    lines = [f"{text} [{number}]" for text, number in islice(number_by_text.items(), _MAX_SENTENCES)]
    return "\n\n".join([EXTRACTED_NOTICE, *lines])


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
