"""The text of a page as it is kept: what a reader saw, without what only machines see."""

import re
from typing import Final

_LINE_END: Final = re.compile(r"\r\n?|[\x0b\x85\u2028\u2029]")
# How PDFium marks the hyphen at a line's end, in place of hyphen and line break.
_LINE_END_HYPHEN: Final = re.compile(r"[\x02\ufffe](?:\r?\n)?")
_UNSEEN: Final = re.compile(r"[\x00-\x08\x0c\x0e-\x1f\x7f\ud800-\udfff\ufeff]")


def tidy(text: str) -> str:
    """Lines end with a line feed, words split at a line end keep their hyphen, control characters are gone."""
    text = _LINE_END_HYPHEN.sub("-\n", text)
    return _UNSEEN.sub("", _LINE_END.sub("\n", text)).strip()
