"""Reads an Office document or e-book of any type."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from documents.models import FileType, TextPage
from documents.reading.office.epub import read_epub
from documents.reading.office.open_document import read_open_document
from documents.reading.office.package import Package
from documents.reading.office.sections import Section, to_pages
from documents.reading.office.sheets import check_package, read_sheets
from documents.reading.office.slides import read_slides
from documents.reading.office.word import read_word

_READERS: Final[dict[FileType, Callable[[Package], Iterator[Section]]]] = {
    "docx": read_word,
    "pptx": read_slides,
    "odt": read_open_document,
    "odp": read_open_document,
    "epub": read_epub,
}
_SHEETS: Final = frozenset({"xlsx", "ods", "xls"})
_ZIPPED_SHEETS: Final = frozenset({"xlsx", "ods"})
OFFICE_TYPES: Final = frozenset(_READERS) | _SHEETS


def read_office(path: Path, file_type: FileType, max_pages: int, max_bytes: int) -> Iterator[TextPage]:
    """The sections in order. Raises DocumentError before the first one.

    ``max_bytes``: of the parts of the file that are read, once they are decompressed.
    """
    if file_type in _ZIPPED_SHEETS:
        check_package(path, max_bytes)
    sections = read_sheets(path, max_pages) if file_type in _SHEETS else _READERS[file_type](Package(path, max_bytes))
    return to_pages(sections, max_pages)
