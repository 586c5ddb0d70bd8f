"""Citing: from the numbers in an answer to quotes that stand on a page; and an answer made of quotes alone."""

import re
from collections.abc import Collection, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import islice
from typing import Final, Self

from documents.answering.source_selection import weigh
from documents.models import Source, SourceQuote
from documents.text import keywords, normalize_text, sentence_spans

_MARKER: Final = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_MAX_CITATIONS: Final = 100  # numbers of one answer: each is weighed against all sentences of its source
_MAX_CLAIM_CHARS: Final = 1_000  # characters before a number
_MAX_QUOTE_CHARS: Final = 400  # characters
_MAX_SENTENCES: Final = 3
_MIN_RELATIVE_COVERAGE: Final = 0.6  # of the best sentence's coverage
EXTRACTED_NOTICE: Final = (
    "No language model wrote this: these are the sentences of the documents that fit the question best."
)


@dataclass(frozen=True, slots=True)
class _SourceSentences:
    """A source in sentences, each with its telling words."""

    source: Source
    sentences: tuple[str, ...]
    words: tuple[AbstractSet[str], ...]

    @classmethod
    def from_source(cls, source: Source) -> Self:
        sentences = tuple(source.text[start:end] for start, end in _sentences(source.text))
        return cls(source, sentences, tuple(map(keywords, sentences)))

    def cite(self, claim_keywords: AbstractSet[str]) -> SourceQuote:
        """With the sentence that has most of these words."""
        coverage = weigh(claim_keywords, self.words).coverage
        best = max(range(len(self.sentences)), key=lambda number: coverage(self.words[number]))
        source = self.source
        return SourceQuote(source.document_id, source.filename, source.page, self.sentences[best], source.score)


def extract_citations(answer: str, question: str, sources: Sequence[Source]) -> tuple[SourceQuote, ...]:
    """What the answer cites, in its order, as far as its first hundred numbers that name a source.

    Numbers that name none are left out; so is a place cited twice. The quote is the sentence of the source that has
    most of what the citing sentence and the question say. Takes up to some tenths of a second of CPU time.
    """
    sources_by_number = {source.number: _SourceSentences.from_source(source) for source in sources}
    question_keywords = keywords(question)
    quotes: dict[tuple[int, str], SourceQuote] = {}
    for claim, number in islice(_claims(answer, sources_by_number.keys()), _MAX_CITATIONS):
        citation = sources_by_number[number].cite(keywords(claim) | question_keywords)
        quotes.setdefault((number, citation.quote), citation)
    return tuple(quotes.values())


def extract_answer(question: str, sources: Sequence[Source]) -> str:
    """The best-fitting sentences with their numbers, for a model that can only look things up."""
    sentences = [
        (source.number, normalize_text(source.text[start:end]))
        for source in sources
        for start, end in _sentences(source.text)
    ]
    sentence_keywords = [keywords(text) for _, text in sentences]
    weights = weigh(keywords(question), sentence_keywords)
    coverages = list(map(weights.coverage, sentence_keywords))
    min_coverage = max(coverages) * _MIN_RELATIVE_COVERAGE
    ranked = sorted(zip(coverages, sentences, strict=True), key=lambda pair: -pair[0])
    number_of: dict[str, int] = {}
    for coverage, (number, text) in ranked:
        if coverage >= min_coverage:
            number_of.setdefault(text, number)
    lines = [f"{text} [{number}]" for text, number in islice(number_of.items(), _MAX_SENTENCES)]
    return "\n\n".join([EXTRACTED_NOTICE, *lines])


def _claims(answer: str, known: Collection[int]) -> Iterator[tuple[str, int]]:
    """Each known number that the answer cites, with the sentence that it stands behind; '' where it stands alone."""
    begin = 0
    for marker in _MARKER.finditer(answer):
        numbers = [number for number in map(int, marker[1].split(",")) if number in known]
        if numbers:
            claim = _last_sentence(answer, max(begin, marker.start() - _MAX_CLAIM_CHARS), marker.start())
            yield from ((claim, number) for number in numbers)
        begin = marker.end()


def _last_sentence(text: str, begin: int, end: int) -> str:
    spans = list(sentence_spans(text, begin, end))
    return text[slice(*spans[-1])] if spans else ""


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Those of bearable length; of a longer one its beginning, up to a blank."""
    for start, end in sentence_spans(text):
        yield start, end if end - start <= _MAX_QUOTE_CHARS else _last_whitespace(text, start, start + _MAX_QUOTE_CHARS)


def _last_whitespace(text: str, start: int, end: int) -> int:
    blank = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return blank if blank > start else end
