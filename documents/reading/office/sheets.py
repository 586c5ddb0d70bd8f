"""Reads spreadsheets with calamine: a section for each sheet. Formulas count with their last result.

A hidden sheet is not read: it does not show when the file is opened.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, time
from pathlib import Path
from typing import Any, Final

from documents.errors import (
    DamagedDocument,
    DocumentsNotInstalled,
    EncryptedDocument,
    ExpandedDocumentTooLarge,
    TooManyPages,
)
from documents.reading.office.package import ENCRYPTED, Package
from documents.reading.office.sections import Section
from documents.reading.tables import table_lines

_MAX_CELLS: Final = 20_000_000  # of the rectangle that a sheet fills, empty ones included


def read_sheets(path: Path, max_pages: int) -> Iterator[Section]:
    """Raises DocumentError."""
    try:
        import python_calamine  # an optional extra
    except ImportError:
        raise DocumentsNotInstalled from None
    try:
        with python_calamine.CalamineWorkbook.from_path(path) as book:
            if len(book.sheet_names) > max_pages:
                raise TooManyPages(f"the document has {len(book.sheet_names)} sheets; the limit is {max_pages}")
            for index, sheet in enumerate(book.sheets_metadata):
                is_shown = sheet.visible == python_calamine.SheetVisibleEnum.Visible
                yield _section(sheet.name, book.get_sheet_by_index(index)) if is_shown else Section(sheet.name)
    except python_calamine.PasswordError:
        raise EncryptedDocument(ENCRYPTED) from None
    except python_calamine.CalamineError:
        raise DamagedDocument("the spreadsheet is damaged; open it in its program and save it again") from None


def check_package(path: Path, max_bytes: int) -> None:
    """Raises ExpandedDocumentTooLarge and EncryptedDocument, before a spreadsheet in a ZIP file is read."""
    package = Package(path, max_bytes)
    for name in package.names:
        if name.endswith((".xml", ".bin")):
            package.read(name)


def _section(name: str, sheet: Any) -> Section:
    if sheet.total_height * sheet.total_width > _MAX_CELLS:
        raise ExpandedDocumentTooLarge(f"a sheet spans more than {_MAX_CELLS} cells")
    rows = [[_text(value) for value in row] for row in sheet.iter_rows()]
    _fill_down(rows, sheet.merged_cell_ranges or ())
    return Section(name, list(table_lines(rows)))


def _fill_down(rows: list[list[str]], merged: Iterable[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """A cell over several rows counts for each of them. Only the first column of merged cells is filled."""
    for (first, column), (last, _) in merged:
        for row in rows[first + 1 : last + 1]:
            if column < len(row) and column < len(rows[first]):
                row[column] = rows[first][column]


def _text(value: Any) -> str:
    """A value as a reader of the sheet writes it: no midnight after a date, no decimal point after a whole number."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ", "seconds") if value.time() != time() else value.date().isoformat()
    return str(value)
