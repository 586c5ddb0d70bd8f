"""Reads text, Markdown, CSV, HTML and mail.

A form feed ends a page of a text. A long text without one is divided into pages of 500 lines.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from documents.errors import EmptyDocument, NoText, TooManyPages, UnsupportedDocument
from documents.models import FileType, TextPage
from documents.reading.csv_text import read_csv
from documents.reading.decoding import decode
from documents.reading.html_text import html_to_text
from documents.reading.mail_text import mail_to_text
from documents.text import clean_text

_OVERSTRUCK: Final = re.compile(r"[^\n]\x08")  # bold and underlined text for a typewriter, as in manual pages
_TERMINAL_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_MAX_LINES: Final = 1_000  # of a page without a form feed
_LINES_PER_PAGE: Final = 500
_MAX_NULL_SHARE: Final = 0.01  # logs have some after a crash of their machine


def read_text(path: Path, file_type: FileType, charset: str | None, max_pages: int) -> Iterator[TextPage]:
    """The pages in order. Raises DocumentError before the first page."""
    data = path.read_bytes()
    if file_type == "mail":
        text, attachments = mail_to_text(data)
        yield replace(_only_page(text), attachments=attachments)
    elif file_type == "html":
        yield _only_page(html_to_text(decode(data, charset, is_html=True)))
    elif file_type == "csv":
        yield from read_csv(decode(data, charset), max_pages)
    else:
        yield from _pages(decode(data, charset), max_pages)


def _only_page(text: str) -> TextPage:
    clean = clean_text(text)
    if not clean:
        raise NoText("the page contains no visible text")
    return TextPage(1, 1, clean)


def _pages(text: str, max_pages: int) -> Iterator[TextPage]:
    if text.count("\0") > _MAX_NULL_SHARE * len(text):
        raise UnsupportedDocument("the file is neither a PDF, an Office document, an e-book nor text")
    count = text.count("\f") + 1
    if count > max_pages:
        raise TooManyPages(f"the document has {count} pages; the limit is {max_pages}")
    text = _TERMINAL_COLOUR.sub("", _OVERSTRUCK.sub("", text))
    parts = text.split("\f") if count > 1 else [clean_text(text)]
    labels: list[str | None] = [None] * count
    if count == 1 and (lines := parts[0].count("\n") + 1) > _MAX_LINES:
        size = max(_LINES_PER_PAGE, -(-lines // max_pages))
        parts, labels = _divide(parts[0], size)
    pages = [clean_text(part) for part in parts]
    if not any(pages):
        raise EmptyDocument("the file contains only whitespace")
    for number, (page, label) in enumerate(zip(pages, labels, strict=True), start=1):
        yield TextPage(number, len(pages), page, problem=None if page else "no_text", label=label)


def _divide(text: str, size: int) -> tuple[list[str], list[str | None]]:
    """Parts of `size` lines, and the numbers of their lines."""
    lines = text.split("\n")
    starts = range(0, len(lines), size)
    labels = [f"lines {start + 1}\u2013{min(start + size, len(lines))}" for start in starts]
    return ["\n".join(lines[start : start + size]) for start in starts], [*labels]
