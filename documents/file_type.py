"""Detects the type of a document from its first bytes.

The file name and the media type are used only where the content leaves a choice: to distinguish Markdown from text, a
text that mentions PDF from a PDF with leading junk, and a fragment of HTML or a mail from a text.
"""

import codecs
import re
from pathlib import Path, PurePosixPath
from typing import Final, get_args

from documents.charsets import find_codec, is_wide
from documents.container_type import is_container, sniff_container
from documents.errors import EmptyDocument, UnsupportedDocument
from documents.models import FileType

_HEAD_BYTES: Final = 1_024  # contain a PDF's signature, even if a mail gateway has put something before it
_PDF_SIGNATURE: Final = b"%PDF-"
_WIDE_BOMS: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")  # byte order marks of UTF-16 and UTF-32
# Controls that texts do not have. Terminals, printers and DOS have put the excepted ones into many.
_BINARY_BYTES: Final = bytes(sorted(frozenset(range(32)) - frozenset(b"\a\b\t\n\v\f\r\x0e\x0f\x1a\x1b")))
_MAX_BINARY_BYTES: Final = 2  # that a text may have by accident; more, if they are less than one in twenty
_MAX_BINARY_SHARE: Final = 0.05
_MIN_WIDE_SHARE: Final = 0.4  # null bytes in every other place: UTF-16 of a script with few characters
_MIN_WIDE_BYTES: Final = 8
_BINARY_SIGNATURES: Final = (
    (b"\x1f\x8b", "an archive"),
    (b"BZh", "an archive"),
    (b"\x7fELF", "a program"),
    (b"\x89PNG", "an image"),
    (b"GIF8", "an image"),
    (b"\xff\xd8\xff", "an image"),
)
_TEXT_SIGNATURES: Final = (
    (b"{\\rtf", "RTF"),
    (b"%!PS", "PostScript"),
    (b"JVBERi0", "a PDF in Base64"),
)
_HTML_START: Final = re.compile(
    rb"(?>\s+|<!--.*?-->|<\?xml[^>]*>)*+<(?:!doctype\s+html|html|head|body|title|meta)\b", re.IGNORECASE | re.DOTALL
)
_TAG: Final = re.compile(rb"<[A-Za-z!][^<>]*>")
_MAIL_HEADER: Final = re.compile(rb"([!-9;-~]+):[^\n]*\n(?:[ \t][^\n]*\n)*")
_MAILBOX_START: Final = b"From "
_MAIL_NAMES: Final = frozenset({b"from", b"to", b"subject", b"date", b"return-path", b"delivered-to", b"reply-to"})
_MIME_NAMES: Final = frozenset(
    {b"mime-version", b"message-id", b"received", b"content-type", b"content-transfer-encoding"}
)
_MARKDOWN_SUFFIXES: Final = frozenset({".md", ".markdown", ".mdown"})
_TEXT_SUFFIXES: Final = _MARKDOWN_SUFFIXES | {".txt", ".text"}
_HTML_SUFFIXES: Final = frozenset({".html", ".htm", ".xhtml"})
_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_TABLE_SUFFIXES: Final = frozenset({".csv", ".tsv"})
_TABLE_TYPES: Final = frozenset({"text/csv", "text/tab-separated-values"})
_MAIL_SUFFIXES: Final = frozenset({".eml", ".mht", ".mhtml"})
_MAIL_TYPES: Final = frozenset({"message/rfc822", "multipart/related"})


def parse_file_type(name: str) -> FileType:
    """The file type of that name. Raises ValueError when there is none."""
    file_types: tuple[FileType, ...] = get_args(FileType)
    return file_types[file_types.index(name)]


def sniff_type(path: Path, filename: str, media_type: str = "", charset: str | None = None) -> FileType:
    """Raises EmptyDocument, UnsupportedDocument, or EncryptedDocument for an Office document with a password.

    `filename`, `media_type` and `charset`: as the sender declares them.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        raise EmptyDocument("the file is empty")
    codec = (find_codec(charset) if charset else None) or ""
    suffix = PurePosixPath(filename.lower()).suffix
    if is_container(head):
        return sniff_container(path, head, suffix)
    if _PDF_SIGNATURE in head and not _only_mentions_pdf(head, suffix, codec):
        return "pdf"
    _require_text(head, codec)
    text = _narrowed(head)
    for signature, name in _TEXT_SIGNATURES:
        if text.startswith(signature):
            raise UnsupportedDocument(f"the file is {name}; save it as a PDF or as text")
    if text.startswith(_MAILBOX_START) and _has_mail_headers(text.partition(b"\n")[2], is_named=False):
        raise UnsupportedDocument("the file is a mailbox; upload its messages one by one")
    if _has_mail_headers(text, is_named=suffix in _MAIL_SUFFIXES or media_type in _MAIL_TYPES):
        return "mail"
    if _HTML_START.match(text) or ((suffix in _HTML_SUFFIXES or media_type in _HTML_TYPES) and _TAG.search(text)):
        return "html"
    if suffix in _TABLE_SUFFIXES or media_type in _TABLE_TYPES:
        return "csv"
    return "markdown" if suffix in _MARKDOWN_SUFFIXES else "text"


def find_wide_codec(head: bytes) -> str | None:
    """The kind of UTF-16 of a text without a byte order mark: every other byte is mostly null."""
    sample = head[: _HEAD_BYTES & ~1]
    if len(sample) < _MIN_WIDE_BYTES:
        return None
    shares = [sample[place::2].count(0) * 2 / len(sample) for place in (0, 1)]
    if max(shares) < _MIN_WIDE_SHARE or min(shares) > 1 - _MIN_WIDE_SHARE * 2:
        return None
    codec = "utf-16-be" if shares[0] > shares[1] else "utf-16-le"
    narrow = sample.decode(codec, errors="replace")
    return codec if _has_few_binary(narrow.encode(errors="replace")) else None


def _only_mentions_pdf(head: bytes, suffix: str, codec: str) -> bool:
    """Whether the signature is part of a text. A real PDF has binary bytes near its start, which mark it as such."""
    return (
        not head.startswith(_PDF_SIGNATURE)
        and suffix in _TEXT_SUFFIXES
        and _looks_like_text(head, codec)
        and _is_utf8(head)
    )


def _require_text(head: bytes, codec: str) -> None:
    for signature, name in _BINARY_SIGNATURES:
        if head.startswith(signature) and not _is_plain_ascii(head):
            raise UnsupportedDocument(f"the file is {name}, which is not a document; save it as a PDF")
    if not _looks_like_text(head, codec):
        raise UnsupportedDocument("the file is neither a PDF, an Office document, an e-book nor text")


def _is_plain_ascii(head: bytes) -> bool:
    return head.isascii() and not head.translate(None, delete=bytes(range(32, 127)) + b"\t\n\r\f")


def _looks_like_text(head: bytes, codec: str) -> bool:
    if head.startswith(_WIDE_BOMS) or is_wide(codec) or find_wide_codec(head):
        return True
    return b"\0" not in head and _has_few_binary(head)


def _has_few_binary(data: bytes) -> bool:
    count = len(data) - len(data.translate(None, delete=_BINARY_BYTES))
    return count <= max(_MAX_BINARY_BYTES, _MAX_BINARY_SHARE * len(data))


def _narrowed(head: bytes) -> bytes:
    """The head without a byte order mark and null bytes: enough to find what is written in ASCII."""
    for bom in (codecs.BOM_UTF8, *_WIDE_BOMS):
        head = head.removeprefix(bom)
    return head.replace(b"\0", b"").lstrip()


def _has_mail_headers(text: bytes, *, is_named: bool) -> bool:
    """Whether the text starts with the headers of a mail, or of a web page that was saved as one."""
    names, place = set(), 0
    text = text.replace(b"\r\n", b"\n")
    while header := _MAIL_HEADER.match(text, place):
        names.add(header[1].lower())
        place = header.end()
    return bool(names & _MIME_NAMES) and (is_named or len(names & (_MAIL_NAMES | _MIME_NAMES)) > 1)


def _is_utf8(head: bytes) -> bool:
    """Whether the bytes are UTF-8; the last character may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True
