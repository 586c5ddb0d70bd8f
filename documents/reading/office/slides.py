"""Reads a PowerPoint presentation: a section for each slide, with its tables, diagrams and speaker notes."""

from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from documents.reading.office.package import Package, children
from documents.reading.office.sections import Section, Table, paragraphs_of

_CHARACTERS: Final = {"br": "\n", "tab": "\t"}
_TITLES: Final = ("title", "ctrTitle")
_LEFT_OUT_OF_NOTES: Final = frozenset({"sldNum", "dt", "hdr", "ftr", "sldImg"})
_REPEATED: Final = frozenset({"sldNum", "dt", "hdr", "ftr"})  # on each slide


def read_slides(package: Package) -> Iterator[Section]:
    main = package.main_part()
    related = package.related(main)
    for entry in children(next(children(package.xml(main), "sldIdLst"), None), "sldId"):
        _, name = related.get(entry.get("r:id", ""), ("", ""))
        yield _slide(package, name) if name else Section()


def _slide(package: Package, name: str) -> Section:
    section = Section(paragraphs=_by_shape(package.xml(name), _REPEATED))
    for kind, part in package.related(name).values():
        if kind == "diagramData":
            section.paragraphs += _paragraphs(package.xml(part))
        elif kind == "notesSlide":
            section.paragraphs += _by_shape(package.xml(part), _LEFT_OUT_OF_NOTES)
    return section


def _by_shape(slide: Element, left_out: frozenset[str]) -> list[str]:
    """The paragraphs of the shapes; the title first, even if it is drawn last."""
    titles: list[str] = []
    others: list[str] = []
    for shape in _shapes(slide):
        kind = next((element.get("type", "") for element in shape.iter("ph")), "")
        if kind not in left_out:
            (titles if kind in _TITLES else others).extend(_paragraphs(shape))
    return titles + others


def _shapes(parent: Element) -> Iterator[Element]:
    for element in parent:
        if element.tag in {"sp", "graphicFrame", "cxnSp", "pic"}:
            yield element
        elif element.tag != "Fallback":
            yield from _shapes(element)


def _paragraphs(parent: Element) -> list[str]:
    """The paragraphs in an element, and the rows of its tables."""
    found: list[str] = []
    for element in parent:
        if element.tag == "p":
            text = "".join(_characters(element)).strip()
            found += [text] if text else []
        elif element.tag == "tbl":
            found += paragraphs_of(Table(_rows(element)))
        elif element.tag != "Fallback":
            found += _paragraphs(element)
    return found


def _rows(table: Element) -> list[list[str]]:
    """The cells of a table. A cell over several rows counts for each of them."""
    rows: list[list[str]] = []
    for row in children(table, "tr"):
        above = rows[-1] if rows else []
        rows.append(
            [
                above[column] if cell.get("vMerge") and column < len(above) else " ".join(_paragraphs(cell))
                for column, cell in enumerate(children(row, "tc"))
            ]
        )
    return rows


def _characters(parent: Element) -> Iterator[str]:
    for element in parent:
        if element.tag == "t":
            yield element.text or ""
        elif element.tag in _CHARACTERS:
            yield _CHARACTERS[element.tag]
        else:
            yield from _characters(element)
