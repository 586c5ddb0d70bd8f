"""The responses about the content of a document: a page, the place of a quote, the outline."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from documents.models import OutlineEntry, PageBoxes, PageDefect
from jobs.base import FrozenModel
from jobs.documents import DocumentRecord


class _OfPage(FrozenModel):
    document_id: str
    page: int = Field(description="Number of the page, from 1.")
    page_label: str = Field(description="The number that is printed on the page, as far as the file defines it.")
    pages: int = Field(description="Number of pages of the document.")


class Page(_OfPage):
    """The text of one page, as chats search and cite it."""

    problem: PageDefect | None = Field(
        description="Why chats cannot use the page's content; null if they can. `no_text`: the page is empty, or an "
        "image such as a scan. `damaged`: the page cannot be read. `garbled`: the page's fonts do not identify their "
        "characters."
    )
    text: str = Field(
        repr=False, description="The text. `start` and `end` of sources and citations count its characters."
    )

    @classmethod
    def of(cls, record: DocumentRecord, page: int, text: str) -> Self:
        problems: dict[PageDefect, tuple[int, ...]] = {
            "no_text": record.no_text,
            "damaged": record.damaged,
            "garbled": record.garbled,
        }
        problem = next((name for name, pages in problems.items() if page in pages), None)
        return cls(**_place(record, page), problem=problem, text=text)


class Box(FrozenModel):
    """A rectangle, in fractions of the width and the height of the visible page."""

    left: float = Field(description="0 is the first column of the page, 1 the last.")
    top: float = Field(description="0 is the top of the page, 1 the bottom.")
    right: float = Field(description="The same for the other side.")
    bottom: float = Field(description="The same for the other side.")


class QuoteBoxes(_OfPage):
    """Where a quote is on its page."""

    width: float = Field(description="Width of the visible page, in points (1/72 inch).")
    height: float = Field(description="Height of the visible page, in points.")
    boxes: tuple[Box, ...] = Field(
        description="One or more rectangles for each row of the quote. Empty if the page does not show its text: "
        "the text of a comment, for example."
    )

    @classmethod
    def of(cls, record: DocumentRecord, page: int, found: PageBoxes) -> Self:
        boxes = tuple(Box(left=left, top=top, right=right, bottom=bottom) for left, top, right, bottom in found.boxes)
        return cls(**_place(record, page), width=found.width, height=found.height, boxes=boxes)


class OutlineItem(FrozenModel):
    """An entry of an outline."""

    level: int = Field(description="Level of the entry, from 0.")
    title: str = Field(repr=False, description="Title of the chapter or section.")
    page: int | None = Field(description="Number of the page, from 1; null if the entry names no page.")
    page_label: str | None = Field(description="The number that is printed on that page.")


class Outline(FrozenModel):
    """The table of contents that a PDF contains for its reader (bookmarks)."""

    document_id: str
    entries: tuple[OutlineItem, ...] = Field(description="The entries in order; empty if the file has no outline.")

    @classmethod
    def of(cls, record: DocumentRecord, entries: Sequence[OutlineEntry]) -> Self:
        items = tuple(
            OutlineItem(
                level=entry.level,
                title=entry.title,
                page=entry.page,
                page_label=None if entry.page is None else record.page_label(entry.page),
            )
            for entry in entries
        )
        return cls(document_id=record.document_id, entries=items)


def _place(record: DocumentRecord, page: int) -> dict[str, str | int]:
    return {
        "document_id": record.document_id,
        "page": page,
        "page_label": record.page_label(page),
        "pages": record.pages or page,
    }
