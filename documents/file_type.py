"""Which kind a document is: by its first bytes.

What its name says tells Markdown from text, and a text that speaks of PDFs from a PDF with something before it.
"""

import codecs
from pathlib import PurePosixPath
from typing import Final

from documents.errors import EmptyDocument, UnsupportedDocument
from documents.models import Kind

HEAD_BYTES: Final = 1_024  # a PDF's mark stands within these, after whatever a mail gateway put before it
_PDF_MARK: Final = b"%PDF-"
_MARKED_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # UTF-16 and UTF-32, by their byte order mark
_NOT_IN_TEXT: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
_MARKDOWN_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown"})
_TEXT_SUFFIXES: Final = _MARKDOWN_SUFFIXES | {".txt", ".text"}


def tell_kind(head: bytes, filename: str) -> Kind:
    """Raises EmptyDocument or UnsupportedDocument. `head` is the file's first HEAD_BYTES, or all of a shorter one."""
    if not head:
        raise EmptyDocument("the file is empty")
    suffix = PurePosixPath(filename.lower()).suffix
    if _PDF_MARK in head and not _speaks_of_pdfs(head, suffix):
        return "pdf"
    if not _may_be_text(head):
        raise UnsupportedDocument("the file is neither a PDF nor text")
    return "markdown" if suffix in _MARKDOWN_SUFFIXES else "text"


def _speaks_of_pdfs(head: bytes, suffix: str) -> bool:
    """The mark is a word of a text. A PDF holds bytes near its beginning that are no text, to be known by."""
    return not head.startswith(_PDF_MARK) and suffix in _TEXT_SUFFIXES and _may_be_text(head) and _is_utf8(head)


def _may_be_text(head: bytes) -> bool:
    return head.startswith(_MARKED_WIDE) or _NOT_IN_TEXT.isdisjoint(head)


def _is_utf8(head: bytes) -> bool:
    """Its last character may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
