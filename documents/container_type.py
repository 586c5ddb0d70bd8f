"""Tells the types of files that contain other files: Office documents and e-books, in ZIP or in Microsoft's OLE."""

import mmap
import struct
from pathlib import Path
from typing import Final

from documents.errors import EncryptedDocument, UnsupportedDocument
from documents.models import FileType

ZIP_SIGNATURE: Final = b"PK\x03\x04"
OLE_SIGNATURE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP_END: Final = b"PK\x05\x06"
_ZIP_END_BYTES: Final = 22 + 65_535  # with the longest comment
_MAX_LISTING_BYTES: Final = 4 * 1024 * 1024
_MIME_TYPES: Final[tuple[tuple[bytes, FileType], ...]] = (  # the content of the first file in the ZIP
    (b"mimetypeapplication/epub+zip", "epub"),
    (b"mimetypeapplication/vnd.oasis.opendocument.text", "odt"),
    (b"mimetypeapplication/vnd.oasis.opendocument.presentation", "odp"),
    (b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "ods"),
)
_MAIN_PARTS: Final[tuple[tuple[bytes, FileType], ...]] = (
    (b"word/document", "docx"),
    (b"ppt/presentation", "pptx"),
    (b"xl/workbook", "xlsx"),
    (b"META-INF/container.xml", "epub"),
)
_TYPES_BY_SUFFIX: Final[dict[str, FileType]] = {
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), "docx"),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".potx"), "pptx"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xlsb"), "xlsx"),
    ".odt": "odt",
    ".odp": "odp",
    ".ods": "ods",
    ".epub": "epub",
}
_OLE_ENCRYPTED: Final = "EncryptedPackage"
_OLE_SHEETS: Final = "Workbook"
_OLD_FORMATS: Final = (("WordDocument", "Word", ".docx"), ("PowerPoint Document", "PowerPoint", ".pptx"))


def is_container(head: bytes) -> bool:
    return head.startswith((ZIP_SIGNATURE, OLE_SIGNATURE))


def sniff_container(path: Path, head: bytes, suffix: str) -> FileType:
    """Raises UnsupportedDocument and EncryptedDocument. ``suffix``: of the name, for a file whose end is missing."""
    if head.startswith(OLE_SIGNATURE):
        return _sniff_ole(path)
    for mark, file_type in _MIME_TYPES:
        if mark in head:
            return file_type
    listing = _zip_listing(path)
    for name, file_type in _MAIN_PARTS:
        if name in listing:
            return file_type
    if suffix in _TYPES_BY_SUFFIX and (not listing or b"content.xml" in listing):
        return _TYPES_BY_SUFFIX[suffix]
    raise UnsupportedDocument("the file is an archive; upload the files in it one by one")


def _zip_listing(path: Path) -> bytes:
    """The directory at the end of a ZIP, which contains the names of its files. Empty if the end is missing."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _ZIP_END_BYTES))
        tail = file.read()
        end = tail.rfind(_ZIP_END)
        if end < 0 or len(tail) - end < 22:  # noqa: PLR2004  # bytes of the end record
            return b""
        (length,) = struct.unpack_from("<I", tail, end + 12)
        file.seek(max(0, size - len(tail) + end - length))
        return file.read(min(length, _MAX_LISTING_BYTES))


def _sniff_ole(path: Path) -> FileType:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:

        def has(name: str) -> bool:
            return data.find(name.encode("utf-16-le")) >= 0

        if has(_OLE_ENCRYPTED):
            raise EncryptedDocument("the document is protected with a password; save it without the password first")
        for name, program, suffix in _OLD_FORMATS:
            if has(name):
                raise UnsupportedDocument(f"the file is a {program} document of the old format; save it as {suffix}")
        if has(_OLE_SHEETS):
            return "xls"
    raise UnsupportedDocument("the file is an Office document of an old format; save it as .docx, .xlsx, .pptx or PDF")
