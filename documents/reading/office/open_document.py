"""Reads OpenDocument texts and presentations, as LibreOffice writes them. Deleted text is left out."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from documents.errors import DamagedDocument, EncryptedDocument
from documents.reading.office.package import ENCRYPTED, Package, children
from documents.reading.office.sections import Block, Heading, Section, Table, paragraphs_of, split_by_headings

_CONTENT: Final = "content.xml"
_MANIFEST: Final = "META-INF/manifest.xml"
_LEFT_OUT: Final = frozenset(
    {"tracked-changes", "forms", "creator", "date", "date-string", "ruby-text", "sequence-decls", "initials"}
)
_APART: Final = frozenset({"note", "annotation", "text-box"})  # blocks inside a paragraph
_CHARACTERS: Final = {"tab": "\t", "line-break": "\n"}
_CELLS: Final = ("table-cell", "covered-table-cell")  # the second is covered by a cell over several columns or rows
_MAX_SPACES: Final = 20


def read_open_document(package: Package) -> Iterator[Section]:
    """A section for each heading of a text, or for each page of a presentation."""
    if _MANIFEST in package.names and any(package.xml(_MANIFEST).iter("encryption-data")):
        raise EncryptedDocument(ENCRYPTED)
    body = next(children(package.xml(_CONTENT), "body"), None)
    for content in children(body, "text", "presentation"):
        if content.tag == "text":
            return split_by_headings(_blocks(content))
        return (_slide(page) for page in children(content, "page"))
    raise DamagedDocument("the file is neither an OpenDocument text nor a presentation")


def _slide(page: Element) -> Section:
    return Section(paragraphs=[text for block in _blocks(page) for text in paragraphs_of(block)])


def _blocks(parent: Element) -> Iterator[Block]:
    for element in parent:
        if element.tag in {"p", "h"}:
            apart: list[Element] = []
            if text := "".join(_characters(element, apart)).strip():
                yield Heading(text) if element.tag == "h" else text
            for inner in apart:
                yield from _blocks(inner)
        elif element.tag == "table":
            yield Table([[_cell(cell) for cell in _found(row, *_CELLS)] for row in _found(element, "table-row")])
        elif element.tag not in _LEFT_OUT:
            yield from _blocks(element)


def _cell(cell: Element) -> str:
    return " ".join(text for block in _blocks(cell) for text in paragraphs_of(block))


def _found(parent: Element, *names: str) -> Iterator[Element]:
    """The rows of a table, or the cells of a row, also those in groups; not those of tables in cells."""
    for element in parent:
        if element.tag in names:
            yield element
        elif element.tag.startswith("table-") and element.tag not in _CELLS:
            yield from _found(element, *names)


def _characters(parent: Element, apart: list[Element]) -> Iterator[str]:
    """The text of a paragraph. What stands in blocks of its own is added to ``apart``."""
    yield parent.text or ""
    for element in parent:
        if element.tag == "s":
            count = element.get("c", "1")
            yield " " * min(int(count) if count.isdecimal() else 1, _MAX_SPACES)
        elif element.tag in _CHARACTERS:
            yield _CHARACTERS[element.tag]
        elif element.tag in _APART:
            apart.append(element)
        elif element.tag not in _LEFT_OUT:
            yield from _characters(element, apart)
        yield element.tail or ""
