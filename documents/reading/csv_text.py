"""Reads a table of values that commas, semicolons, tabs or bars separate. Each row keeps the header of its columns."""

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from documents.errors import DamagedDocument, EmptyDocument, TooManyPages
from documents.models import TextPage
from documents.reading.tables import find_header, labelled_line, plain_line
from documents.text import clean_text

_DELIMITERS: Final = ",;\t|"
_SAMPLE_ROWS: Final = 20
_SAMPLE_CHARS: Final = 64 * 1024
_ROWS_PER_PAGE: Final = 1_000
_MAX_FIELD_CHARS: Final = 10_000_000
_DAMAGED: Final = "the file is not a table of separated values: a quotation mark is never closed"


def read_csv(text: str, max_pages: int) -> Iterator[TextPage]:
    """Pages of a thousand rows, with the numbers of their rows as labels. Raises DocumentError before the first."""
    csv.field_size_limit(_MAX_FIELD_CHARS)
    try:
        rows = [[" ".join(cell.split()) for cell in row] for row in _rows(text)]
    except csv.Error:
        raise DamagedDocument(_DAMAGED) from None
    if not any(map(any, rows)):
        raise EmptyDocument("the file contains only whitespace")
    count = -(-len(rows) // _ROWS_PER_PAGE)
    if count > max_pages:
        raise TooManyPages(f"the table has {len(rows)} rows; the limit is {max_pages * _ROWS_PER_PAGE}")
    start = find_header([row for row in rows[:_SAMPLE_ROWS] if any(row)])
    header = [row for row in rows[:_SAMPLE_ROWS] if any(row)][start] if start is not None else []
    lines = [plain_line(row) if row == header else labelled_line(header, row) for row in rows]
    for number in range(1, count + 1):
        first = (number - 1) * _ROWS_PER_PAGE
        part = lines[first : first + _ROWS_PER_PAGE]
        page = clean_text("\n\n".join(filter(None, part)))
        label = f"rows {first + 1}\u2013{first + len(part)}" if count > 1 else None
        yield TextPage(number, count, page, None if page else "no_text", label=label)


def _rows(text: str) -> Iterator[Sequence[str]]:
    text = text.replace("\0", "")
    return csv.reader(text.splitlines(keepends=True), delimiter=_delimiter(text))


def _delimiter(text: str) -> str:
    """The one that gives the first rows the most columns, if they agree on their number."""

    def columns(delimiter: str) -> tuple[int, int]:
        widths = [len(row) for row in islice(csv.reader(sample, delimiter=delimiter), _SAMPLE_ROWS) if row]
        usual = max(set(widths), key=widths.count, default=1)
        return (widths.count(usual) if usual > 1 else 0), usual

    sample = text[:_SAMPLE_CHARS].splitlines(keepends=True)
    return max(_DELIMITERS, key=columns)
