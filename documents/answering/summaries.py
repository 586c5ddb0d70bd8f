"""The texts of a summary in sections: what each call is asked, and how its answer becomes a part of the summary.

Each section is summarized from its passages. Their numbers are those of the section in its prompt, and those of the
whole summary in the result. Summaries that are too long for one prompt are summarized in groups first. The last call
writes the overview; the summaries of the sections follow it unchanged, so that each chapter is named and cited even if
the model leaves it out of the overview.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Final

from documents.answering.citations import EXTRACTED_NOTICE
from documents.answering.markers import find_marks
from documents.answering.prompting import SummaryPart, count_part_tokens
from documents.answering.sections import Section
from documents.answering.source_selection import weigh
from documents.models import Source
from documents.text import keywords, sentence_spans, text_keywords

_MAX_SUMMARY_CHARS: Final = 3_000  # of one section; a model that does not stop is cut here
_UNKNOWN_MARK: Final = re.compile(r"\s*[\[【]\^?\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*[\]】]")


@dataclass(frozen=True, slots=True)
class SectionSummary:
    """The summary of one section, or of several; its marks are numbers of the sources of the whole summary."""

    title: str
    filename: str
    pages: tuple[int, int]
    text: str = field(repr=False)

    @property
    def part(self) -> SummaryPart:
        return SummaryPart(self.filename, self.pages, f"{self.title}\n{self.text}" if self.title else self.text)


def all_sources(sections: Sequence[Section]) -> tuple[Source, ...]:
    """The passages of all sections, numbered from 1."""
    sources = (source for section in sections for source in section.sources)
    return tuple(_renumber(source, number) for number, source in enumerate(sources, start=1))


def trim_answer(answer: str) -> str:
    """A model's answer about a section, as it is kept."""
    return _cut(answer.replace(EXTRACTED_NOTICE, "").strip())


def section_summary(section: Section, answer: str, numbered_before: int) -> SectionSummary:
    """The summary from a model's answer. `numbered_before`: the number of sources of all sections before this one."""
    text = answer or _first_sentence(section.sources[0].text)
    text = _renumber_marks(text, section.sources, numbered_before)
    if not any(True for _ in find_marks(text, [_renumber(s, s.number + numbered_before) for s in section.sources])):
        text = f"{text} [{_best_source(text, section.sources) + numbered_before}]"
    return SectionSummary(section.title, section.filename, section.pages, text)


def group_summaries(summaries: Sequence[SectionSummary], max_tokens: int) -> list[list[SectionSummary]]:
    """Consecutive summaries that fit into one prompt together. A group has at least two, except for the last."""
    groups: list[list[SectionSummary]] = []
    tokens = 0
    for summary in summaries:
        size = count_part_tokens(summary.part)
        if not groups or (tokens + size > max_tokens and len(groups[-1]) > 1):
            groups.append([])
            tokens = 0
        groups[-1].append(summary)
        tokens += size
    return groups


def combine_summaries(group: Sequence[SectionSummary], answer: str) -> SectionSummary:
    """The summary of a group, from a model's answer. Keeps the group's own texts if there is none."""
    text = answer or _cut("\n\n".join(summary.text for summary in group))
    titles = dict.fromkeys(filter(None, (summary.title for summary in group)))
    return SectionSummary("; ".join(titles), group[0].filename, (group[0].pages[0], group[-1].pages[1]), text)


def format_sections(summaries: Sequence[SectionSummary]) -> str:
    """The sections as Markdown, below the overview: title, pages and summary of each."""
    has_several_files = len({summary.filename for summary in summaries}) > 1
    blocks = []
    for _, group in groupby(summaries, key=lambda summary: (summary.filename, summary.title or summary.pages)):
        chapter = list(group)
        filename = chapter[0].filename if has_several_files else ""
        heading = ", ".join(filter(None, (filename, chapter[0].title, _page_range(chapter))))
        blocks.append("\n\n".join([f"**{heading}**", *(summary.text for summary in chapter)]))
    return "".join(f"\n\n{block}" for block in blocks)


def step_key(instructions: str, question: str, texts: Sequence[str]) -> str:
    """Identifies a step by all that its result depends on, so that a retried attempt finds those that are done."""
    return hashlib.sha256(json.dumps([instructions, question, *texts]).encode("utf-8", "surrogatepass")).hexdigest()[
        :32
    ]


def _renumber(source: Source, number: int) -> Source:
    return replace(source, number=number)


def _renumber_marks(text: str, sources: Sequence[Source], numbered_before: int) -> str:
    """The text with the numbers of the whole summary. Numbers of no source are removed."""
    pieces, position = list[str](), 0
    for mark in find_marks(text, sources):
        pieces.append(_UNKNOWN_MARK.sub("", text[position : mark.start]))
        pieces += [f"[{number + numbered_before}]" for number in mark.numbers]
        position = mark.end
    return "".join(pieces) + _UNKNOWN_MARK.sub("", text[position:])


def _best_source(text: str, sources: Sequence[Source]) -> int:
    """The number of the source that covers most words of the text."""
    words = [text_keywords(source.text) for source in sources]
    coverage = weigh(keywords(text), words).coverage
    return max(zip(sources, words, strict=True), key=lambda pair: coverage(pair[1]))[0].number


def _cut(text: str) -> str:
    """The text up to its last sentence within the limit."""
    if len(text) <= _MAX_SUMMARY_CHARS:
        return text
    ends = [end for _, end in sentence_spans(text, 0, _MAX_SUMMARY_CHARS)]
    return text[: ends[-2] if len(ends) > 1 else _MAX_SUMMARY_CHARS]


def _first_sentence(text: str) -> str:
    return _cut(next((text[start:end] for start, end in sentence_spans(text)), text))


def _page_range(run: Sequence[SectionSummary]) -> str:
    first, last = run[0].pages[0], run[-1].pages[1]
    return f"p. {first}" if first == last else f"p. {first}-{last}"
