"""Tells the hyphens of compounds from those that only divide a word at the end of a line.

A printed line end does not show the difference. A compound is known by its other occurrences within a line, on this
page or an earlier one. The line break is moved behind it, so the page's text still has all that is printed.
"""

import re
from typing import Final

_COMPOUND: Final = re.compile(r"(?<![\w-])[^\W\d_]+-[^\W\d_]+(?![\w-])")
_AT_LINE_END: Final = re.compile(r"(?<![\w-])([^\W\d_]+-)\n([^\W\d_]+)(?![\w-])([^\w\s]*)[^\S\n]*")
_MAX_COMPOUNDS: Final = 10_000  # of one document


class Compounds:
    """The compounds of one document, page by page."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def keep_together(self, text: str) -> str:
        """The page with its known compounds on one line."""
        if len(self._known) < _MAX_COMPOUNDS:
            self._known.update(compound.lower() for compound in _COMPOUND.findall(text))
        return _AT_LINE_END.sub(self._mended, text)

    def _mended(self, match: re.Match[str]) -> str:
        compound = match[1] + match[2]
        return f"{compound}{match[3]}\n" if compound.lower() in self._known else match[0]
