"""Citing: from the numbers in an answer to quotes that stand on a page; and an answer made of quotes alone."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from documents.choosing import weigh
from documents.models import Citation, Source
from documents.words import rejoin, sentence_spans

_MARKER: Final = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")
_LONGEST_QUOTE: Final = 400  # characters
_SENTENCES: Final = 3
_WORTH_SAYING: Final = 0.6  # of the best sentence's coverage
EXTRACTED: Final = "No language model wrote this: these are the sentences of the documents that fit the question best."


def read_citations(answer: str, question: str, sources: Sequence[Source]) -> tuple[Citation, ...]:
    """What the answer cites, in its order. Numbers that name no source are left out; so is a place cited twice.

    The quote is the sentence of the source that has most of what the citing sentence says.
    """
    numbered = {source.number: source for source in sources}
    cited: dict[tuple[int, str], Citation] = {}
    for claim, number in _claims(answer):
        if (source := numbered.get(number)) is not None:
            quote = _best_sentence(f"{claim} {question}" if claim else question, source)
            cited.setdefault((number, quote), _citation(source, quote))
    return tuple(cited.values())


def extract_answer(question: str, sources: Sequence[Source]) -> str:
    """The best-fitting sentences with their numbers, for a model that can only look things up."""
    sentences = [
        (source.number, rejoin(source.text[start:end])) for source in sources for start, end in _sentences(source.text)
    ]
    weights = weigh(question, [text for _, text in sentences])
    ranked = sorted(sentences, key=lambda sentence: -weights.coverage(sentence[1]))
    worth = weights.coverage(ranked[0][1]) * _WORTH_SAYING
    said = dict.fromkeys(text for _, text in ranked if weights.coverage(text) >= worth)
    number_of = {text: number for number, text in reversed(ranked)}
    lines = [f"{text} [{number_of[text]}]" for text in list(said)[:_SENTENCES]]
    return "\n\n".join([EXTRACTED, *lines])


def _claims(answer: str) -> Iterator[tuple[str, int]]:
    """Each number that the answer cites, with the words that it stands behind."""
    begin = 0
    for marker in _MARKER.finditer(answer):
        before = answer[begin : marker.start()].strip(" .\n")
        claim = answer[slice(*list(sentence_spans(answer, begin, marker.start()))[-1])] if before else ""
        for number in marker[1].split(","):
            yield claim, int(number)
        begin = marker.end()


def _best_sentence(claim: str, source: Source) -> str:
    sentences = [source.text[start:end] for start, end in _sentences(source.text)]
    weights = weigh(claim, sentences)
    return max(sentences, key=weights.coverage)


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Those of bearable length; of a longer one its beginning, up to a blank."""
    for start, end in sentence_spans(text):
        yield start, end if end - start <= _LONGEST_QUOTE else _last_blank(text, start, start + _LONGEST_QUOTE)


def _last_blank(text: str, start: int, end: int) -> int:
    blank = max(text.rfind(" ", start, end), text.rfind("\n", start, end))
    return blank if blank > start else end


def _citation(source: Source, quote: str) -> Citation:
    return Citation(source.document_id, source.filename, source.page, quote, source.score)
