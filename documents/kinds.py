"""Which kind a document is: by its first bytes. What a sender or a name says of it only tells Markdown from text."""

from pathlib import PurePosixPath
from typing import Final

from documents.errors import EmptyDocument, UnsupportedDocument
from documents.models import Kind

HEAD_BYTES: Final = 1_024  # a PDF's mark stands within these, after whatever a mail gateway put before it
_PDF_MARK: Final = b"%PDF-"
_MARKED_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # UTF-16 and UTF-32, by their byte order mark
_NOT_IN_TEXT: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
_MARKDOWN_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown"})


def tell_kind(head: bytes, filename: str) -> Kind:
    """Raises EmptyDocument or UnsupportedDocument. `head` is the file's first HEAD_BYTES, or all of a shorter one."""
    if not head:
        raise EmptyDocument("the file is empty")
    if _PDF_MARK in head:
        return "pdf"
    if not head.startswith(_MARKED_WIDE) and not _NOT_IN_TEXT.isdisjoint(head):
        raise UnsupportedDocument("the file is neither a PDF nor text")
    return "markdown" if PurePosixPath(filename.lower()).suffix in _MARKDOWN_SUFFIXES else "text"
