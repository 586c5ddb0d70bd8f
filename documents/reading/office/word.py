"""Reads a Word document: paragraphs, headings, tables, text boxes, notes and comments, in reading order.

Deleted and hidden text is left out. Text that is marked as inserted is read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.etree.ElementTree import Element

from documents.reading.office.package import Package, children
from documents.reading.office.sections import Block, Heading, Section, Table, paragraphs_of, split_by_headings

_LEFT_OUT: Final = frozenset({"del", "moveFrom", "delText", "instrText", "Fallback", "rt", "pPr", "rPr", "tcPr"})
_CHARACTERS: Final = {"tab": "\t", "ptab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NOTES: Final = {"footnoteReference": "footnotes", "endnoteReference": "endnotes", "commentReference": "comments"}
_EDGES: Final = ("header", "footer")
_OFF: Final = ("0", "false", "off")
_MAX_SPAN: Final = 60  # columns of a table in Word
_BODY_LEVEL: Final = "9"  # outline level of text that is no heading


def read_word(package: Package) -> Iterator[Section]:
    main = package.main_part()
    related = package.related(main)
    parts = {kind: package.xml(name) for kind, name in related.values() if kind in {"styles", *_NOTES.values()}}
    body = next(children(package.xml(main), "body"), None)
    reader = _Reader(_heading_styles(parts.get("styles")), {kind: _by_id(part) for kind, part in parts.items()})
    yield from split_by_headings(reader.blocks(body))
    edges = [package.xml(name) for kind, name in related.values() if kind in _EDGES]
    texts = dict.fromkeys(text for edge in edges for block in reader.blocks(edge) for text in paragraphs_of(block))
    if texts:
        yield Section("Headers and footers", list(texts))


def _by_id(part: Element) -> dict[str, Element]:
    return {element.get("id", ""): element for element in part}


def _heading_styles(styles: Element | None) -> frozenset[str]:
    """The ids of the styles that make a paragraph a heading, directly or because they are based on one that does."""
    parents, headings = {}, set()
    for style in children(styles, "style"):
        style_id = style.get("styleId", "")
        name = _value(style, "name").lower()
        parents[style_id] = _value(style, "basedOn")
        level = _value(next(children(style, "pPr"), None), "outlineLvl")
        if name == "title" or name.startswith("heading ") or level not in {"", _BODY_LEVEL}:
            headings.add(style_id)
    return frozenset(style_id for style_id in parents if _ancestors(style_id, parents) & headings)


def _ancestors(style_id: str, parents: dict[str, str]) -> set[str]:
    """The style and those it is based on. A circle ends it."""
    found: set[str] = set()
    while style_id and style_id not in found:
        found.add(style_id)
        style_id = parents.get(style_id, "")
    return found


def _value(element: Element | None, name: str) -> str:
    return next((child.get("val", "") for child in children(element, name)), "")


@dataclass(slots=True)
class _Reader:
    heading_styles: frozenset[str]
    notes: dict[str, dict[str, Element]]  # by kind and id
    _pending: list[Block] = field(default_factory=list)  # text boxes and notes of the paragraph that is read

    def blocks(self, parent: Element | None) -> Iterator[Block]:
        for element in parent if parent is not None else ():
            if element.tag == "p":
                yield from self._paragraph(element)
            elif element.tag == "tbl":
                yield Table(self._rows(element))
            elif element.tag not in _LEFT_OUT:
                yield from self.blocks(element)

    def _paragraph(self, paragraph: Element) -> Iterator[Block]:
        text = "".join(self._characters(paragraph)).strip()
        pending, self._pending = self._pending, []
        if text:
            yield Heading(text) if self._is_heading(paragraph) else text
        yield from pending

    def _is_heading(self, paragraph: Element) -> bool:
        properties = next(children(paragraph, "pPr"), None)
        level = _value(properties, "outlineLvl")
        return level != _BODY_LEVEL if level else _value(properties, "pStyle") in self.heading_styles

    def _characters(self, parent: Element) -> Iterator[str]:
        for element in parent:
            if element.tag == "t":
                yield element.text or ""
            elif element.tag in _CHARACTERS:
                yield _CHARACTERS[element.tag]
            elif element.tag == "txbxContent":
                self._pending += list(_Reader(self.heading_styles, self.notes).blocks(element))
            elif element.tag in _NOTES:
                self._pending += self._note(_NOTES[element.tag], element.get("id", ""))
            elif element.tag not in _LEFT_OUT and not _is_hidden(element):
                yield from self._characters(element)

    def _note(self, kind: str, number: str) -> list[Block]:
        """The text of a footnote, endnote or comment; once, even if it is referred to twice."""
        note = self.notes.get(kind, {}).pop(number, None)
        return list(_Reader(frozenset(), {}).blocks(note))

    def _rows(self, table: Element) -> list[list[str]]:
        """The cells of a table. A cell over several rows counts for each of them."""
        rows: list[list[str]] = []
        for row in _found(table, "tr"):
            above, cells = (rows[-1] if rows else []), list[str]()
            for cell in _found(row, "tc"):
                properties = next(children(cell, "tcPr"), None)
                merge = next(children(properties, "vMerge"), None)
                is_continued = merge is not None and merge.get("val") != "restart" and len(cells) < len(above)
                cells.append(above[len(cells)] if is_continued else self._cell(cell))
                span = _value(properties, "gridSpan")
                cells += [""] * min(int(span) - 1 if span.isdecimal() else 0, _MAX_SPAN)
            rows.append(cells)
        return rows

    def _cell(self, cell: Element) -> str:
        return " ".join(text for block in self.blocks(cell) for text in paragraphs_of(block))


def _found(parent: Element, name: str) -> Iterator[Element]:
    """The rows of a table, or the cells of a row, also in content controls and revisions; not those of inner tables."""
    for element in parent:
        if element.tag == name:
            yield element
        elif element.tag not in {"tbl", *_LEFT_OUT}:
            yield from _found(element, name)


def _is_hidden(run: Element) -> bool:
    """Whether a run of text is formatted as hidden."""
    mark = next(children(next(children(run, "rPr"), None), "vanish"), None)
    return mark is not None and mark.get("val", "").lower() not in _OFF
