"""The text that a reader of an HTML page sees, without its markup."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

from documents.reading.tables import table_lines

_NOT_SHOWN: Final = frozenset(
    {"script", "style", "template", "noscript", "svg", "object", "iframe", "datalist", "head"}
)
_VOID: Final = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
_BLOCKS: Final = frozenset(
    """address article aside blockquote body caption dd details dialog div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol option p pre section select summary table tbody tfoot
    thead tr ul""".split()  # noqa: SIM905
)
_PARAGRAPHS: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "pre", "blockquote", "table", "ul", "ol", "dl"}
)
_CLOSED_BY_THEMSELVES: Final = frozenset({"p", "li", "dt", "dd", "option"})
_CELLS: Final = frozenset({"td", "th"})
_ROW_ENDS: Final = ("td", "th", "tr")
_ENDS_IN_TABLE: Final = {  # open elements of the same table that a start tag ends
    **dict.fromkeys(("td", "th"), ("td", "th")),
    **dict.fromkeys(("tr", "tbody", "thead", "tfoot"), _ROW_ENDS),
}
_HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_HIDDEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[ \t\r\n\f\u00a0]+")
_MANY_LINE_ENDS: Final = re.compile(r"\n{3,}")


def html_to_text(html: str) -> str:
    """The title and the visible text; blank lines between paragraphs."""
    parser = _parse(html)
    lines = (line.rstrip(" ") for line in "".join(parser.parts).split("\n"))
    text = _MANY_LINE_ENDS.sub("\n\n", "\n".join(lines)).strip()
    title = _BLANKS.sub(" ", "".join(parser.title)).strip()
    return text if text.partition("\n")[0] == title else f"{title}\n\n{text}".strip()


def first_heading(html: str) -> str | None:
    """The first heading that is shown, else the title."""
    parser = _parse(html)
    return " ".join((parser.heading or "".join(parser.title)).split()) or None


def _parse(html: str) -> "_TextParser":
    parser = _TextParser()
    parser.feed(html)
    parser.close()
    parser.close_all()
    return parser


@dataclass(slots=True)
class _Table:
    start: int  # in the parser's parts
    rows: list[list[str]] = field(default_factory=list)
    header_cells: int = 0  # of its first row, from the left


class _TextParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._open: list[tuple[str, bool]] = []  # tag, and whether its content is not shown
        self._hidden = 0  # of the open elements
        self._preformatted = 0
        self._starts: list[int] = []  # of the open elements, in `parts`
        self._tables: list[_Table] = []
        self.heading: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._close("head")
        self._end_in_table(tag)
        if self._open and self._open[-1][0] == tag and tag in _CLOSED_BY_THEMSELVES:
            self._close(tag)
        elif self._open and self._open[-1][0] == "p" and tag in _BLOCKS:
            self._close("p")
        self._break(tag)
        attributes = dict(attrs)
        if tag == "img" and not self._hidden:
            self.parts.append(attributes.get("alt") or "")
        if tag not in _VOID:
            is_hidden = tag in _NOT_SHOWN or "hidden" in attributes or _has_hidden_style(attributes.get("style"))
            self._open.append((tag, is_hidden))
            self._starts.append(len(self.parts))
            self._start_in_table(tag)
            self._hidden += is_hidden
            self._preformatted += tag == "pre"

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self._close(tag)

    def handle_endtag(self, tag: str) -> None:
        self._close(tag)
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1][0] == "title":
            self.title.append(data)
        elif not self._hidden:
            self.parts.append(data if self._preformatted else self._collapsed(data))

    def _collapsed(self, data: str) -> str:
        text = _BLANKS.sub(" ", data)
        return text.lstrip(" ") if self.parts and self.parts[-1].endswith((" ", "\n")) else text

    def _break(self, tag: str) -> None:
        if self._hidden:
            return
        if tag in _PARAGRAPHS:
            self.parts.append("\n\n")
        elif tag in _BLOCKS or tag == "br":
            self.parts.append("\n")
        elif tag in _CELLS and self.parts and not self.parts[-1].endswith((" ", "\n")):
            self.parts.append(" ")

    def _close(self, tag: str) -> None:
        """Close the innermost open element of that name, and those in it. An end without a start is ignored."""
        if not any(name == tag for name, _ in self._open):
            return
        name = ""
        while name != tag:
            name, is_hidden = self._open.pop()
            self._end(name, self._starts.pop())
            self._hidden -= is_hidden
            self._preformatted -= name == "pre"

    def close_all(self) -> None:
        """Close what the page has left open."""
        while self._open:
            self._close(self._open[-1][0])

    def _end_in_table(self, tag: str) -> None:
        names = [name for name, _ in self._open] if tag in _ENDS_IN_TABLE else []
        inner = names[len(names) - names[::-1].index("table") :] if "table" in names else []
        for name in _ENDS_IN_TABLE.get(tag, ()):
            if name in inner:
                self._close(name)

    def _start_in_table(self, tag: str) -> None:
        if tag == "table":
            self._tables.append(_Table(len(self.parts)))
        elif tag == "tr" and self._tables:
            self._tables[-1].rows.append([])

    def _end(self, tag: str, start: int) -> None:
        """Note the text of a heading or cell. A table whose first row names its columns is written row by row."""
        if tag in _HEADINGS and not self._hidden:
            self.heading = self.heading or "".join(self.parts[start:]).strip() or None
        elif tag in _CELLS and self._tables and self._tables[-1].rows:
            table = self._tables[-1]
            table.rows[-1].append("".join(self.parts[start:]).strip())
            table.header_cells += len(table.rows) == 1 and tag == "th"
        elif tag == "table" and self._tables:
            table = self._tables.pop()
            if 1 < table.header_cells == len(table.rows[0]) and len(table.rows) > 1 and not self._hidden:
                self.parts[table.start :] = ["\n\n".join(table_lines(table.rows)), "\n\n"]


def _has_hidden_style(style: str | None) -> bool:
    return bool(style) and _HIDDEN_STYLE.search(style or "") is not None
