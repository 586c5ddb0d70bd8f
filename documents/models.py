"""The data classes of documents: frozen, cheap to create, and without texts in their repr."""

from dataclasses import dataclass, field
from typing import Literal

FileType = Literal[
    "pdf", "text", "markdown", "html", "mail", "csv", "docx", "pptx", "xlsx", "xls", "odt", "odp", "ods", "epub"
]
Selection = Literal["match", "page", "whole", "sample"]  # why a chunk is a source
PageDefect = Literal["no_text", "damaged", "garbled"]
OcrOutcome = Literal["recognized", "nothing_found", "not_installed", "language_missing", "too_many_pages", "timed_out"]


@dataclass(frozen=True, slots=True)
class TextPage:
    """The text of one page. Numbers start at 1; a page without text has a `problem`.

    ``label``: the page number as printed, such as "iv"; None if it is the number, or the file has no labels.
    """

    number: int
    count: int  # pages of the whole document, for progress reports
    text: str = field(repr=False)
    problem: PageDefect | None = None
    label: str | None = None
    has_image: bool = False
    ocr: OcrOutcome | None = None  # None: not tried
    attachments: int = 0  # files attached to the whole document; their content is not read


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of one page: ``text`` is exactly ``page.text[start:end]``."""

    index: int  # within the document, from 0, without gaps
    page: int
    start: int
    end: int
    text: str = field(repr=False)
    lead: str = field(default="", repr=False)  # of the page before: the start of the chunk's first sentence


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Vectors are comparable only if name and dimensions are equal."""

    name: str
    dimensions: int

    def __str__(self) -> str:
        return f"{self.name} ({self.dimensions} dimensions)"


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk returned by a search."""

    document_id: str
    chunk: Chunk
    similarity: float  # cosine of question and chunk, -1 to 1
    score: float  # from fused ranks: comparable only within one search


@dataclass(frozen=True, slots=True)
class Source:
    """A chunk in the prompt, with a number that the model can cite."""

    number: int
    document_id: str
    filename: str
    page: int
    text: str = field(repr=False)
    score: float  # 0 to 1: mean of its similarity to the question and its coverage of the question's keywords
    start: int | None = None  # characters of the page; None for a source that was parsed from a prompt
    end: int | None = None
    selection: Selection = "match"
    chunk_index: int | None = None  # within the document, if the source is a chunk


@dataclass(frozen=True, slots=True)
class SourceQuote:
    """A passage that supports an answer. The quote is verbatim on that page."""

    document_id: str
    filename: str
    page: int
    quote: str = field(repr=False)
    score: float
    support: float | None = None  # share of the claim's keywords that the quote contains; None for a claim without any
