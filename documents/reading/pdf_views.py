"""Views of a PDF for people: the image of a page, the place of a quote on it, and the outline.

PDFium is C++: these functions run only in the reading process, never in a web process.
"""

import ctypes
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from documents.errors import DamagedDocument, ExpandedDocumentTooLarge, PageNotFound
from documents.models import OutlineEntry, PageBoxes, PageImage
from documents.reading.pdf import open_pdf
from documents.reading.png import encode_png
from documents.reading.quote_location import find_quote, significant_chars

_MAX_PIXELS: Final = 4_000_000  # 12 MB before compression; an A4 page 1,600 pixels wide has 3.6 million
_ROUNDING: Final = 1 - 1e-6  # PDFium's binding rounds up: without it, 800 pixels may become 801
_UNITS: Final = 1_000_000  # of a page's width and height; PDFium converts places to whole numbers
_MAX_OUTLINE_ENTRIES: Final = 2_000
_MAX_OUTLINE_DEPTH: Final = 15
_MAX_TITLE_CHARS: Final = 300
_HIGH_SURROGATES: Final = range(0xD800, 0xDC00)

_Box = tuple[float, float, float, float]


def draw_page(path: Path, number: int, width: int) -> PageImage:
    """The page as PDFium draws it, with its comments and form fields. A page with too many pixels is drawn smaller.

    Raises DocumentError.
    """
    from pypdfium2 import PdfiumError

    document = open_pdf(path)
    document.init_forms()
    page = _open_page(document, number)
    page_width, page_height = page.get_size()
    scale = min(width / page_width, (_MAX_PIXELS / (page_width * page_height)) ** 0.5) * _ROUNDING
    try:
        bitmap = page.render(scale=scale, rev_byteorder=True, maybe_alpha=False)
    except PdfiumError:
        raise DamagedDocument(f"page {number} of the document cannot be drawn") from None
    pixels = memoryview(bitmap.buffer).cast("B")
    return PageImage(bitmap.width, bitmap.height, encode_png(pixels, bitmap.width, bitmap.height, bitmap.stride))


def locate_quote(path: Path, number: int, quote: str, chars_before: int | None, max_chars: int) -> PageBoxes:
    """The rectangles that the quote covers on the page. There are none if the page does not show it.

    ``chars_before``: the number of significant characters before the quote in the text of the page, if known. It tells
    a sentence that occurs twice. Raises DocumentError.
    """
    from documents.reading.pdf_annotations import flatten
    from documents.reading.pdf_hidden_text import remove_hidden_text

    document = open_pdf(path)
    _open_page(document, number).close()
    flatten(document, number - 1)  # as the reader of an ingest: the text of comments counts
    page = _open_page(document, number)
    remove_hidden_text(page)
    text_page = page.get_textpage()
    if text_page.count_chars() > max_chars:
        raise ExpandedDocumentTooLarge(f"page {number} contains more than {max_chars} characters")
    text, places = _significant_text(text_page)
    width, height = page.get_size()
    boxes = [
        _to_fractions(page, rectangle)
        for start, end in find_quote(text, quote, chars_before)
        for rectangle in _rectangles(text_page, places[start], places[end - 1])
    ]
    return PageBoxes(width, height, tuple(box for box in boxes if box[0] < box[2] and box[1] < box[3]))


def read_outline(path: Path) -> list[OutlineEntry]:
    """The bookmarks in order, at most some thousand. Raises DocumentError."""
    document = open_pdf(path)
    entries = []
    for bookmark in islice(document.get_toc(max_depth=_MAX_OUTLINE_DEPTH), _MAX_OUTLINE_ENTRIES):
        destination = bookmark.get_dest()
        index = destination.get_index() if destination else None
        title = "".join(filter(str.isprintable, bookmark.get_title()[:_MAX_TITLE_CHARS])).strip()
        entries.append(OutlineEntry(bookmark.level, title, None if index is None else index + 1))
    return entries


def _open_page(document: Any, number: int) -> Any:
    """Raises PageNotFound, and DamagedDocument for a page that cannot be read."""
    from pypdfium2 import PdfiumError

    if not 0 < number <= len(document):
        raise PageNotFound(f"the document has {len(document)} pages")
    try:
        page = document[number - 1]
    except PdfiumError:
        raise DamagedDocument(f"page {number} of the document is damaged") from None
    if min(page.get_size()) <= 0:
        raise DamagedDocument(f"page {number} of the document has no area")
    return page


def _significant_text(text_page: Any) -> tuple[str, list[int]]:
    """The significant characters of the page, and the index of each in PDFium's list."""
    from pypdfium2 import raw

    text, places, high = [], [], 0
    for index in range(text_page.count_chars()):
        code = raw.FPDFText_GetUnicode(text_page, index)
        if code in _HIGH_SURROGATES:
            high = code
            continue
        if high:
            code, high = 0x10000 + ((high - 0xD800) << 10) + (code - 0xDC00 & 0x3FF), 0
        for character in significant_chars(chr(code)):
            text.append(character)
            places.append(index)
    return "".join(text), places


def _rectangles(text_page: Any, first: int, last: int) -> Iterator[_Box]:
    """The rectangles of the characters from the first to the last one, as PDFium joins them."""
    for index in range(text_page.count_rects(first, last - first + 1)):
        yield text_page.get_rect(index)


def _to_fractions(page: Any, box: _Box) -> _Box:
    """Left, top, right and bottom as fractions of the page as it is shown: cropped and rotated."""
    from pypdfium2 import raw

    left, bottom, right, top = box
    x, y = ctypes.c_int(), ctypes.c_int()
    corners = []
    for corner in ((left, bottom), (right, top)):
        raw.FPDF_PageToDevice(page, 0, 0, _UNITS, _UNITS, 0, *corner, x, y)
        corners.append((min(max(x.value / _UNITS, 0.0), 1.0), min(max(y.value / _UNITS, 0.0), 1.0)))
    (x1, y1), (x2, y2) = corners
    return min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
