"""Writes the rows of a table as lines that are complete in themselves: each value with the header of its column.

A row that is searched, quoted or given to a model without the rest of its table still shows what its values mean.

    | City | Price |
    | Rome | 120   |   ->   City: Rome | Price: 120
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

_MAX_HEADER_CHARS: Final = 80
_NUMBER: Final = re.compile(r"[^\w]*\d[\d\s.,:/%+\-\u2013€$£¥]*\w{0,3}[^\w]*")  # amounts, dates, times
_SEPARATOR: Final = " | "

Row = Sequence[str]


def table_lines(rows: Iterable[Row]) -> Iterator[str]:
    """One line for each row with a value. An empty row separates tables, of which each may have a header."""
    header: Row = ()
    for block in _blocks(rows):
        start = find_header(block)
        if start is None or (header and not _is_another(block[start:], header)):
            yield from (labelled_line(header, row) for row in block)
            continue
        header = block[start]
        yield from (plain_line(row) for row in block[:start])
        yield from (labelled_line(header, row) for row in block[start + 1 :])


def _blocks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    block: list[Row] = []
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if any(cells):
            block.append(cells)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_another(rows: Sequence[Row], header: Row) -> bool:
    """Whether the first row below a gap is a new header, rather than a further row of the table above."""
    is_wider = [bool(cell) for cell in rows[0]] != [bool(cell) for cell in header]
    return is_wider or any(_NUMBER.fullmatch(cell) for cell in rows[1])


def find_header(rows: Sequence[Row]) -> int | None:
    """The index of the row that names the columns; rows before it are titles. None if there is none."""
    width = max(sum(map(bool, row)) for row in rows)
    for index, row in enumerate(rows[:-1]):
        cells = [cell for cell in row if cell]
        if len(cells) >= max(2, width / 2):
            return index if _names_columns(cells) and not _is_form(rows) else None
    return None


def _names_columns(cells: Sequence[str]) -> bool:
    return len(set(cells)) == len(cells) and all(
        len(cell) <= _MAX_HEADER_CHARS and not _NUMBER.fullmatch(cell) for cell in cells
    )


def _is_form(rows: Sequence[Row]) -> bool:
    """Whether two columns are names and values ("Name: | Ann"), rather than records."""
    pairs = [cells for row in rows if len(cells := [cell for cell in row if cell]) == 2]  # noqa: PLR2004
    return len(pairs) == len(rows) and any(name.endswith((":", "\uff1a")) for name, _ in pairs)


def labelled_line(header: Row, row: Row) -> str:
    """The values of a row, each with the header of its column, if the column has one."""
    names = [*header, *[""] * (len(row) - len(header))]
    return _SEPARATOR.join(
        f"{name}: {value}" if name and name != value else value
        for name, value in zip(names, row, strict=False)
        if value
    )


def plain_line(row: Row) -> str:
    return _SEPARATOR.join(cell for cell in row if cell)
