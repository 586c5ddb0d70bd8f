"""Detects the type of a document from its first bytes.

The file name is used only to tell Markdown from text, and a text that mentions PDF from a PDF with leading junk.
"""

import codecs
from pathlib import PurePosixPath
from typing import Final, get_args

from documents.errors import EmptyDocument, UnsupportedDocument
from documents.models import FileType

HEAD_BYTES: Final = 1_024  # contain a PDF's signature, even if a mail gateway has put something before it
_PDF_SIGNATURE: Final = b"%PDF-"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # byte order marks of UTF-16 and UTF-32
_BINARY_BYTES: Final = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
_MARKDOWN_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown"})
_TEXT_SUFFIXES: Final = _MARKDOWN_SUFFIXES | {".txt", ".text"}


def parse_file_type(name: str) -> FileType:
    """The file type of that name. Raises ValueError when there is none."""
    file_types: tuple[FileType, ...] = get_args(FileType)
    return file_types[file_types.index(name)]


def sniff_type(head: bytes, filename: str) -> FileType:
    """Raises EmptyDocument or UnsupportedDocument. `head` is the first HEAD_BYTES of the file, or the whole file."""
    if not head:
        raise EmptyDocument("the file is empty")
    suffix = PurePosixPath(filename.lower()).suffix
    if _PDF_SIGNATURE in head and not _only_mentions_pdf(head, suffix):
        return "pdf"
    if not _looks_like_text(head):
        raise UnsupportedDocument("the file is neither a PDF nor text")
    return "markdown" if suffix in _MARKDOWN_SUFFIXES else "text"


def _only_mentions_pdf(head: bytes, suffix: str) -> bool:
    """Whether the signature is part of a text. A real PDF has binary bytes near its start, which mark it as such."""
    return (
        not head.startswith(_PDF_SIGNATURE) and suffix in _TEXT_SUFFIXES and _looks_like_text(head) and _is_utf8(head)
    )


def _looks_like_text(head: bytes) -> bool:
    return head.startswith(_WIDE_BOMS) or _BINARY_BYTES.isdisjoint(head)


def _is_utf8(head: bytes) -> bool:
    """Whether the bytes are UTF-8; the last character may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
