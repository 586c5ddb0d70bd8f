"""Puts columns of prose that a PDF draws row by row into reading order: first the left column, then the right one.

Word processors and invoices write across the page, line by line, so that PDFium's text mixes the sentences of both
columns. A *block* is a run of lines with a common gutter, a strip without text. It is reordered only if the text of
each column runs on from line to line. The rows of a table do not, and stay rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

from documents.text import SENTENCE_END_CHARS

_MIN_GUTTER_POINTS: Final = 10.0
_MIN_LINES: Final = 3  # with text in at least two columns
_MIN_CELL_BYTES: Final = 15  # mean length of the lines of a column
_MIN_RUNNING_SHARE: Final = 0.4  # of the lines of a column: they continue the line before
_MIN_WIDTH_POINTS: Final = 60.0  # mean width of the lines of a column
_MAX_SPACING: Final = 2.5  # from one line of a block to the next, relative to the height of a line
_MAX_SEGMENTS: Final = 2_000  # of a page that is examined


class Segment(NamedTuple):
    """A run of text on one line. PDF points, from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float


Line = list[Segment]
Gutter = tuple[float, float]  # left and right end


def text_in_reading_order(text_page: Any) -> str:
    """The text of the page."""
    text = str(text_page.get_text_bounded())
    count = text_page.count_rects()
    if count > _MAX_SEGMENTS:
        return text
    lines = _lines([Segment(*text_page.get_rect(index)) for index in range(count)])
    position = 0
    for block, gutters in _blocks(lines):
        columns = _columns(block, gutters)
        if not all(map(_is_wide, columns)):
            continue
        texts = {segment: _text_of(text_page, segment) for line in block for segment in line}
        column_texts = [[" ".join(texts[segment] for segment in line) for line in column] for column in columns]
        span = _span(text, position, texts.values()) if all(map(_is_prose, column_texts)) else None
        if span:
            in_order = "\n\n".join("\n".join(column) for column in column_texts)
            text = text[: span[0]] + in_order + text[span[1] :]
            position = span[0] + len(in_order)
    return text


def _lines(segments: Sequence[Segment]) -> list[Line]:
    """Consecutive segments on one line."""
    lines: list[Line] = []
    for segment in segments:
        if lines and _is_beside(lines[-1][-1], segment):
            lines[-1].append(segment)
        else:
            lines.append([segment])
    return lines


def _is_beside(before: Segment, segment: Segment) -> bool:
    overlap = min(before.top, segment.top) - max(before.bottom, segment.bottom)
    return segment.left >= before.left and overlap > 0.5 * min(before.top - before.bottom, segment.top - segment.bottom)


def _blocks(lines: Sequence[Line]) -> Iterator[tuple[list[Line], list[Gutter]]]:
    """The runs of lines with common gutters that have enough lines with text on both sides."""
    block, gutters = list[Line](), list[Gutter]()
    for line in [*lines, []]:
        common = [gutter for gap in _gaps(line) for gutter in _common(gutters, gap)]
        if block and line and common and _follows(block[-1], line):
            block, gutters = [*block, line], common
            continue
        block = _without_footer(block, gutters)
        if sum(_has_sides(one, gutters) for one in block) >= _MIN_LINES:
            yield block, gutters
        inner = [(left.right, right.left) for left, right in pairwise(line)]
        gutters = [gap for gap in inner if gap[1] - gap[0] >= _MIN_GUTTER_POINTS]
        block = [line] if gutters else []


def _without_footer(block: list[Line], gutters: Sequence[Gutter]) -> list[Line]:
    """The block without lines at its end that are in one column only and at a distance."""
    usual = _spacing(*block[:2]) if len(block) > 1 else 0.0
    end = len(block)
    while end > 2 and not _has_sides(block[end - 1], gutters) and _spacing(*block[end - 2 : end]) > 1.2 * usual:  # noqa: PLR2004
        end -= 1
    return block[:end]


def _spacing(before: Line, line: Line) -> float:
    return before[0].bottom - line[0].bottom


def _gaps(line: Line) -> Iterator[Gutter]:
    ends = [float("-inf"), *(segment.right for segment in line)]
    starts = [*(segment.left for segment in line), float("inf")]
    yield from zip(ends, starts, strict=True)


def _common(gutters: Sequence[Gutter], gap: Gutter) -> list[Gutter]:
    both = [(max(gutter[0], gap[0]), min(gutter[1], gap[1])) for gutter in gutters]
    return [(left, right) for left, right in both if right - left >= _MIN_GUTTER_POINTS]


def _follows(before: Line, line: Line) -> bool:
    height = max(segment.top - segment.bottom for segment in (*before, *line))
    return 0 < _spacing(before, line) <= _MAX_SPACING * height


def _has_sides(line: Line, gutters: Sequence[Gutter]) -> bool:
    return any(line[0].right <= left + 0.01 and right - 0.01 <= line[-1].left for left, right in gutters)


def _columns(block: Sequence[Line], gutters: Sequence[Gutter]) -> list[list[Line]]:
    """The lines of each column, from left to right."""
    columns: list[list[Line]] = [[] for _ in range(len(gutters) + 1)]
    middles = sorted((left + right) / 2 for left, right in gutters)
    for line in block:
        cells: dict[int, Line] = {}
        for segment in line:
            cells.setdefault(sum(segment.left > middle for middle in middles), []).append(segment)
        for column, cell in cells.items():
            columns[column].append(cell)
    return columns


def _is_wide(column: Sequence[Line]) -> bool:
    """Whether the column may be prose. Cheaper than to read its text."""
    widths = [line[-1].right - line[0].left for line in column]
    return len(column) >= _MIN_LINES and sum(widths) >= _MIN_WIDTH_POINTS * len(widths)


def _text_of(text_page: Any, segment: Segment) -> str:
    return " ".join(text_page.get_text_bounded(*segment).split())


def _is_prose(column: Sequence[str]) -> bool:
    """Whether the text runs on from line to line."""
    if len(column) < _MIN_LINES or sum(len(cell.encode()) for cell in column) < _MIN_CELL_BYTES * len(column):
        return False
    pairs = list(pairwise(column))
    return sum(_runs_on(before, after) for before, after in pairs) >= _MIN_RUNNING_SHARE * len(pairs)


def _runs_on(before: str, after: str) -> bool:
    """A letter that is not a capital continues the line, if no sentence ended there."""
    return before[-1:] not in SENTENCE_END_CHARS and after[:1].isalpha() and not after[:1].isupper()


def _span(text: str, position: int, segment_texts: Iterable[str]) -> tuple[int, int] | None:
    """The place of these segments in the text of the page; None if they do not follow each other there."""
    start = None
    for word in (word for segment_text in segment_texts for word in segment_text.split()):
        found = text.find(word, position)
        if found < 0 or (start is not None and text[position:found].strip("\r\n \ufffe\x02")):
            return None
        start = found if start is None else start
        position = found + len(word)
    return None if start is None else (start, position)
