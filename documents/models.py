"""What documents are made of: frozen, cheap to make, and silent about texts in their repr."""

from dataclasses import dataclass, field
from typing import Literal

FileType = Literal["pdf", "text", "markdown"]
PageDefect = Literal["no_text", "damaged"]


@dataclass(frozen=True, slots=True)
class TextPage:
    """One page as it was read. Numbers begin at 1; a page without text says why it has none."""

    number: int
    count: int  # pages of the whole document, for telling the progress
    text: str = field(repr=False)
    problem: PageDefect | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of one page: ``text`` is ``page.text[start:end]``, to the character."""

    index: int  # within the document, from 0, without gaps
    page: int
    start: int
    end: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Vectors are comparable only where both are equal."""

    name: str
    dimensions: int

    def __str__(self) -> str:
        return f"{self.name} ({self.dimensions} dimensions)"


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that a search brought, the best first."""

    document_id: str
    chunk: Chunk
    similarity: float  # cosine of question and chunk, -1 to 1
    score: float  # of the fused ranks: comparable within one search only


@dataclass(frozen=True, slots=True)
class Source:
    """A chunk as the model gets to see it, under a number it can cite."""

    number: int
    document_id: str
    filename: str
    page: int
    text: str = field(repr=False)
    score: float  # 0 to 1: mean of its similarity to the question and its share of the question's words


@dataclass(frozen=True, slots=True)
class SourceQuote:
    """A place that an answer rests on; the quote is literally on that page."""

    document_id: str
    filename: str
    page: int
    quote: str = field(repr=False)
    score: float
