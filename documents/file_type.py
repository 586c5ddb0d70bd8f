"""Which kind a document is: by its first bytes.

What its name says tells Markdown from text, and a text that speaks of PDFs from a PDF with something before it.
"""

import codecs
from pathlib import PurePosixPath
from typing import Final, get_args

from documents.errors import EmptyDocument, UnsupportedDocument
from documents.models import FileType

HEAD_BYTES: Final = 1_024  # a PDF's mark stands within these, after whatever a mail gateway put before it
_PDF_SIGNATURE: Final = b"%PDF-"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # UTF-16 and UTF-32, by their byte order mark
_BINARY_BYTES: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
_MARKDOWN_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown"})
_TEXT_SUFFIXES: Final = _MARKDOWN_SUFFIXES | {".txt", ".text"}


def parse_file_type(name: str) -> FileType:
    """The file type of that name. Raises ValueError when there is none."""
    file_types: tuple[FileType, ...] = get_args(FileType)
    return file_types[file_types.index(name)]


def sniff_type(head: bytes, filename: str) -> FileType:
    """Raises EmptyDocument or UnsupportedDocument. `head` is the file's first HEAD_BYTES, or all of a shorter one."""
    if not head:
        raise EmptyDocument("the file is empty")
    suffix = PurePosixPath(filename.lower()).suffix
    if _PDF_SIGNATURE in head and not _only_mentions_pdf(head, suffix):
        return "pdf"
    if not _looks_like_text(head):
        raise UnsupportedDocument("the file is neither a PDF nor text")
    return "markdown" if suffix in _MARKDOWN_SUFFIXES else "text"


def _only_mentions_pdf(head: bytes, suffix: str) -> bool:
    """The mark is a word of a text. A PDF holds bytes near its beginning that are no text, to be known by."""
    return (
        not head.startswith(_PDF_SIGNATURE) and suffix in _TEXT_SUFFIXES and _looks_like_text(head) and _is_utf8(head)
    )


def _looks_like_text(head: bytes) -> bool:
    return head.startswith(_WIDE_BOMS) or _BINARY_BYTES.isdisjoint(head)


def _is_utf8(head: bytes) -> bool:
    """Its last character may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
