"""Reads text and Markdown. A form feed ends a page; without one the whole text is page 1."""

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from documents.errors import EmptyDocument, TooManyPages, UnknownEncoding, UnsupportedDocument
from documents.models import TextPage
from documents.text import clean_text

_BOMS: Final = (  # the longer ones first: UTF-32's mark starts with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: Path, max_pages: int) -> Iterator[TextPage]:
    """The pages in order. Raises DocumentError before the first page."""
    text = _decode(path.read_bytes())
    if "\0" in text:
        raise UnsupportedDocument("the file is neither a PDF nor text")
    count = text.count("\f") + 1
    if count > max_pages:
        raise TooManyPages(f"the document has {count} pages; the limit is {max_pages}")
    pages = [clean_text(page) for page in text.split("\f")]
    if not any(pages):
        raise EmptyDocument("the file contains only whitespace")
    for number, page in enumerate(pages, start=1):
        yield TextPage(number, len(pages), page, problem=None if page else "no_text")


def _decode(data: bytes) -> str:
    """Refuse text that is neither UTF-8 nor marked: a wrong guess would silently put garbage into the index."""
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise UnknownEncoding(
            "the text is not UTF-8 and has no byte order mark of UTF-16 or UTF-32; save it as UTF-8 and upload it again"
        ) from None
