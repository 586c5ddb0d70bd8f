"""The text that a reader of an HTML page sees, without its markup."""

import re
from html.parser import HTMLParser
from typing import Final

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
_CLOSED_BY_THEMSELVES: Final = frozenset({"p", "li", "dt", "dd", "tr", "td", "th", "option"})
_CELLS: Final = frozenset({"td", "th"})
_HIDDEN_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[ \t\r\n\f\u00a0]+")
_MANY_LINE_ENDS: Final = re.compile(r"\n{3,}")


def html_to_text(html: str) -> str:
    """The title and the visible text; blank lines between paragraphs."""
    parser = _TextParser()
    parser.feed(html)
    parser.close()
    lines = (line.rstrip(" ") for line in "".join(parser.parts).split("\n"))
    text = _MANY_LINE_ENDS.sub("\n\n", "\n".join(lines)).strip()
    title = _BLANKS.sub(" ", "".join(parser.title)).strip()
    return text if text.partition("\n")[0] == title else f"{title}\n\n{text}".strip()


class _TextParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.title: list[str] = []
        self._open: list[tuple[str, bool]] = []  # tag, and whether its content is not shown
        self._hidden = 0  # of the open elements
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._close("head")
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
            self._hidden -= is_hidden
            self._preformatted -= name == "pre"


def _has_hidden_style(style: str | None) -> bool:
    return bool(style) and _HIDDEN_STYLE.search(style or "") is not None
