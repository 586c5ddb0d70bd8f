"""Finds the text of a PDF's page that no reader of the page sees.

It is no evidence: a citation would quote what is not there for a person who opens the page. Such text is mostly a mark
of the program that wrote the file, and sometimes an attempt to mislead a machine.
"""

import ctypes
from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

from pypdfium2 import raw

_TINY_POINTS: Final = 2  # print for readers has at least 4
_LIKE_BACKGROUND: Final = 16  # of 255: a colour that differs less from its background is not seen
_TRANSPARENT_ALPHA: Final = 12  # of 255
_WHITE: Final = (255, 255, 255, 255)
_BLACK: Final = (0, 0, 0, 255)
_PALE: Final = 255 - _LIKE_BACKGROUND
_RENDER_SCALE: Final = 2  # pixels per point
_MAX_PIXELS: Final = 8_000_000
_MAX_AREAS: Final = 300  # of one colour, on one page, that are examined

_Box = tuple[float, float, float, float]  # left, bottom, right, top
_Colour = tuple[int, int, int, int]  # red, green, blue, alpha: 0 to 255


def remove_hidden_text(page: Any) -> bool:
    """Remove the text that no reader of the page sees. Returns whether the page holds an image.

    Hidden is text that is tiny, of the colour of its background, or invisible (as the text layer of a scan is) without
    anything painted under it. In doubt, text stays: text inside a form object is not examined.
    """
    painted: dict[_Colour | None, list[_Box]] = defaultdict(list)
    hidden, doubtful = [], []
    has_image = False
    for index in range(raw.FPDFPage_CountObjects(page)):
        item = raw.FPDFPage_GetObject(page, index)
        kind = raw.FPDFPageObj_GetType(item)
        has_image = has_image or kind == raw.FPDF_PAGEOBJ_IMAGE
        if kind != raw.FPDF_PAGEOBJ_TEXT:
            colour = _fill(item) if kind == raw.FPDF_PAGEOBJ_PATH else None
            box = _box(item)
            if box is not None and colour != _WHITE and _has_area(box) and len(painted[colour]) < _MAX_AREAS:
                painted[colour].append(box)
        elif _is_tiny(item) or (_is_invisible(item) and not _is_over(item, chain(*painted.values()))):
            hidden.append(item)
        elif _may_be_like_background(item, painted):
            doubtful.append(item)
    hidden += _unseen(page, doubtful)
    for item in hidden:
        if raw.FPDFPage_RemoveObject(page, item):
            raw.FPDFPageObj_Destroy(item)
    return has_image


def _has_area(box: _Box) -> bool:
    """Lines and rules are no background."""
    return min(box[2] - box[0], box[3] - box[1]) > _TINY_POINTS


def _is_invisible(item: Any) -> bool:
    if raw.FPDFTextObj_GetTextRenderMode(item) == raw.FPDF_TEXTRENDERMODE_INVISIBLE:
        return True
    return _is_filled(item) and (_fill(item) or _BLACK)[3] <= _TRANSPARENT_ALPHA


def _is_over(item: Any, boxes: Iterable[_Box]) -> bool:
    """Whether the middle of the object is in one of the boxes."""
    box = _box(item)
    if box is None:
        return True
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in boxes)


def _may_be_like_background(item: Any, painted: dict[_Colour | None, list[_Box]]) -> bool:
    if not _is_filled(item) or (colour := _fill(item)) is None:
        return False
    return min(colour[:3]) >= _PALE or any(
        under is not None and _is_like(colour, under) and _is_over(item, boxes) for under, boxes in painted.items()
    )


def _is_like(colour: _Colour, other: _Colour) -> bool:
    return all(abs(one - two) < _LIKE_BACKGROUND for one, two in zip(colour[:3], other[:3], strict=True))


def _is_filled(item: Any) -> bool:
    mode = raw.FPDFTextObj_GetTextRenderMode(item)
    return mode in (raw.FPDF_TEXTRENDERMODE_FILL, raw.FPDF_TEXTRENDERMODE_FILL_CLIP)


def _unseen(page: Any, items: list[Any]) -> list[Any]:
    """Those objects whose place on the rendered page has no colour but theirs."""
    if not items:
        return []
    width, height = page.get_size()
    scale = min(_RENDER_SCALE, (_MAX_PIXELS / max(1.0, width * height)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    pixels, columns, rows = memoryview(bitmap.buffer).cast("B"), bitmap.width, bitmap.height

    def is_unseen(item: Any) -> bool:
        box = _box(item)
        if box is None:
            return False
        x, y = ctypes.c_int(), ctypes.c_int()
        corners = []
        for left, bottom in ((box[0], box[1]), (box[2], box[3])):
            raw.FPDF_PageToDevice(page, 0, 0, columns, rows, 0, left, bottom, x, y)
            corners.append((x.value, y.value))
        (x1, y1), (x2, y2) = corners
        left, right = max(0, min(x1, x2)), min(columns, max(x1, x2) + 1)
        lines = [
            pixels[row * bitmap.stride + left : row * bitmap.stride + right]
            for row in range(max(0, min(y1, y2)), min(rows, max(y1, y2) + 1))
        ]
        values = [value for line in lines if line for value in (min(line), max(line))]
        own = _grey(_fill(item) or _BLACK)
        return bool(values) and max(abs(value - own) for value in values) < _LIKE_BACKGROUND

    return [item for item in items if is_unseen(item)]


def _is_tiny(item: Any) -> bool:
    size, matrix = ctypes.c_float(), raw.FS_MATRIX()
    if not raw.FPDFTextObj_GetFontSize(item, size) or not raw.FPDFPageObj_GetMatrix(item, matrix):
        return False
    scale = abs(matrix.a * matrix.d - matrix.b * matrix.c) ** 0.5
    if size.value * scale > _TINY_POINTS:
        return False
    box = _box(item)  # fonts may have any scale of their own
    return box is not None and min(box[2] - box[0], box[3] - box[1]) <= _TINY_POINTS


def _fill(item: Any) -> _Colour | None:
    """The colour of the filled area. A pattern is white, or None."""
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    if not raw.FPDFPageObj_GetFillColor(item, red, green, blue, alpha):
        return None
    return red.value, green.value, blue.value, alpha.value


def _grey(colour: _Colour) -> float:
    return 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]  # as PDFium renders it


def _box(item: Any) -> _Box | None:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not raw.FPDFPageObj_GetBounds(item, left, bottom, right, top):
        return None
    return left.value, bottom.value, right.value, top.value
