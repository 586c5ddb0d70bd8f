"""Recognizes the text of PDF pages that hold none, or none that can be read: scans, and fonts without a meaning."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

from documents.models import OcrOutcome, TextPage
from documents.reading.tesseract import Image, LanguageMissing, NotInstalled, Tesseract, TookTooLong
from documents.text import clean_text

_DOTS_PER_INCH: Final = 300  # what Tesseract is made for
_POINTS_PER_INCH: Final = 72
_MAX_PIXELS: Final = 12_000_000  # A4 has 8.7 million at 300 dots; larger pages are rendered coarser
_MIN_SIDE: Final = 20  # pixels
_MAX_STAMP_CHARS: Final = 200  # that a scanned page has as text: a page number, or the mark of a scanner
_MIN_SCAN_SHARE: Final = 0.5  # of the page that its largest image covers


@dataclass(frozen=True, slots=True)
class OcrLimits:
    """``languages``: as Tesseract names them, such as "eng+deu"."""

    languages: str
    max_pages: int  # of one document
    page_seconds: float


class Ocr:
    """The OCR of one document."""

    def __init__(self, limits: OcrLimits, recognized: Mapping[int, str], announce: Callable[[], None]) -> None:
        """``recognized``: texts of an earlier reading, by page. ``announce`` is called before each recognition."""
        self._limits = limits
        self._recognized = recognized
        self._announce = announce
        self._pages_left = limits.max_pages - len(recognized)

    def read(self, document: Any, page: TextPage) -> TextPage:
        """The page with its recognized text, or with the reason why there is none (``ocr``)."""
        if page.problem == "damaged" or (page.problem is None and not _is_scan(document, page)):
            return page
        text = self._recognized.get(page.number)
        outcome: OcrOutcome = "recognized"
        if text is None:
            text, outcome = self._recognize(document, page.number)
        if len(text) <= len(page.text):
            return replace(page, ocr=outcome)
        return replace(page, text=text, problem=None, ocr=outcome)

    def _recognize(self, document: Any, number: int) -> tuple[str, OcrOutcome]:
        if isinstance(self._engine, str):
            return "", self._engine
        if self._pages_left <= 0:
            return "", "too_many_pages"
        image = _render(document, number - 1)
        if image is None:
            return "", "nothing_found"
        self._pages_left -= 1
        self._announce()
        try:
            text = clean_text(self._engine.recognize(image, self._limits.page_seconds))
        except TookTooLong:
            return "", "timed_out"
        return text, "recognized" if text else "nothing_found"

    @cached_property
    def _engine(self) -> Tesseract | OcrOutcome:
        """Loaded with the first page that needs it."""
        try:
            return Tesseract(self._limits.languages)
        except NotInstalled:
            return "not_installed"
        except LanguageMissing:
            return "language_missing"


def _is_scan(document: Any, page: TextPage) -> bool:
    """Whether the text of a page is only a stamp on a scan: a page number, or the mark of the scanning program."""
    return (
        page.has_image
        and len(page.text) <= _MAX_STAMP_CHARS
        and _image_share(document[page.number - 1]) > _MIN_SCAN_SHARE
    )


def _image_share(page: Any) -> float:
    """The share of the page that its largest image covers."""
    from pypdfium2 import raw  # an optional extra, loaded only in the reading process

    width, height = page.get_size()
    boxes = (image.get_bounds() for image in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE], max_depth=3))
    areas = [(right - left) * (top - bottom) for left, bottom, right, top in boxes]
    return float(max(areas, default=0.0) / max(1.0, width * height))


def _render(document: Any, index: int) -> Image | None:
    """The page as grey pixels; None if it is blank."""
    page = document[index]
    width, height = page.get_size()
    scale = min(_DOTS_PER_INCH / _POINTS_PER_INCH, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    if min(bitmap.width, bitmap.height) < _MIN_SIDE or _is_blank(bitmap):
        return None
    return Image(bitmap.buffer, bitmap.width, bitmap.height, bitmap.stride, round(scale * _POINTS_PER_INCH))


def _is_blank(bitmap: Any) -> bool:
    """Whether all pixels have the same colour."""
    pixels = bytes(bitmap.buffer)
    rows = (pixels[start : start + bitmap.width] for start in range(0, bitmap.stride * bitmap.height, bitmap.stride))
    return not any(row.strip(pixels[:1]) for row in rows)
