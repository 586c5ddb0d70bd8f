"""Turns the headings, paragraphs and tables of a document into its numbered sections."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from documents.errors import NoText, TooManyPages
from documents.models import TextPage
from documents.reading.tables import table_lines
from documents.text import clean_text

_MAX_LABEL_CHARS: Final = 80


@dataclass(frozen=True, slots=True)
class Heading:
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    rows: Sequence[Sequence[str]]


Block = str | Heading | Table  # a string is a paragraph


@dataclass(slots=True)
class Section:
    """``label``: what a citation calls it; None if its number says it all."""

    label: str | None = None
    paragraphs: list[str] = field(default_factory=list)


def split_by_headings(blocks: Iterable[Block]) -> Iterator[Section]:
    """A section for each heading with the text below it. A heading directly below another belongs to its section."""
    section, has_text = Section(), False
    for block in blocks:
        if isinstance(block, Heading):
            if has_text:
                yield section
                section, has_text = Section(), False
            section.label = block.text
            section.paragraphs.append(block.text)
        else:
            section.paragraphs += paragraphs_of(block)
            has_text = True
    if section.paragraphs:
        yield section


def paragraphs_of(block: Block) -> list[str]:
    if isinstance(block, Table):
        return list(table_lines(block.rows))
    return [block.text if isinstance(block, Heading) else block]


def to_pages(sections: Iterable[Section], max_pages: int) -> Iterator[TextPage]:
    """The sections as pages. Raises TooManyPages and NoText."""
    numbered: list[Section] = []
    for section in sections:
        if len(numbered) == max_pages:
            raise TooManyPages(f"the document has more than {max_pages} sections, sheets or slides, which is the limit")
        numbered.append(section)
    texts = [clean_text("\n\n".join(section.paragraphs)) for section in numbered]
    if not any(texts):
        raise NoText("the document contains no text")
    for number, (section, text) in enumerate(zip(numbered, texts, strict=True), start=1):
        yield TextPage(number, len(texts), text, None if text else "no_text", label=_label(section.label))


def _label(text: str | None) -> str | None:
    """The label on one line, cut at its maximum length; None for an empty one."""
    label = " ".join(clean_text(text or "").split()) or None
    return (
        label if label is None or len(label) <= _MAX_LABEL_CHARS else f"{label[: _MAX_LABEL_CHARS - 1].rstrip()}\u2026"
    )
