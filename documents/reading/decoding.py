"""Decodes a text whose encoding is marked, declared, or UTF-8.

Nothing is guessed: a wrong guess would silently put garbage into the index. Bytes that do not belong to the encoding
cost only themselves, as long as they are few.
"""

import codecs
import re
from typing import Final

from documents.charsets import find_codec
from documents.errors import DamagedDocument, UnknownEncoding
from documents.file_type import find_wide_codec

_BOMS: Final = (  # the longer ones first: UTF-32's mark starts with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ISO_2022: Final = (  # escape sequences that switch to another script; the bytes are ASCII otherwise
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
    (re.compile(rb"\x1b(?:\$[@B]|\([JI])"), "iso2022_jp_ext"),
)
_XML_DECLARATION: Final = re.compile(rb"""\s*<\?xml\s[^>]*?\bencoding\s*=\s*["']?([\w.:-]+)""", re.IGNORECASE)
_META_DECLARATION: Final = re.compile(rb"""<meta\s[^>]*?\bcharset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
_DECLARATION_BYTES: Final = 4_096
_LATIN: Final = "cp1252"  # also declared by programs that know no better
_MAX_BAD_SHARE: Final = 1 / 500  # of the bytes; a text in another encoding has 1 in 60 and more
_MAX_BAD_SEQUENCES: Final = 1 / 20  # of the characters beyond ASCII
_MIN_BYTES: Final = 50  # of a text that may have one bad byte
_LATE_PDF_BYTES: Final = 1_000_000


def decode(data: bytes, charset: str | None = None, *, is_html: bool = False) -> str:
    """The text. ``charset``: as declared by the sender. XML, and HTML if it ``is_html``, may itself declare one.

    Raises UnknownEncoding, and DamagedDocument for a PDF that starts too late to be one.
    """
    for bom, codec in _BOMS:
        if data.startswith(bom):
            return _decode_leniently(data, codec)
    declared = find_codec(charset) if charset else None
    declared = declared or _declared_codec(data[:_DECLARATION_BYTES], is_html=is_html)
    if declared is None or declared in {"utf-8", _LATIN}:
        evident = next((codec for mark, codec in _ISO_2022 if mark.search(data)), None) or find_wide_codec(data)
        declared = evident or declared
    if declared is not None and declared not in {"utf-8", _LATIN}:
        return _decode_leniently(data, declared)
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _decode_leniently(data, declared or "utf-8")


def _declared_codec(head: bytes, *, is_html: bool) -> str | None:
    match = _XML_DECLARATION.match(head) or (_META_DECLARATION.search(head) if is_html else None)
    codec = find_codec(match[1].decode(errors="replace")) if match else None
    return "utf-8" if codec and codec.startswith(("utf-16", "utf-32")) else codec  # it could not be read otherwise


def _decode_leniently(data: bytes, codec: str) -> str:
    text = data.decode(codec, errors="replace")
    bad = text.count("\ufffd") - (data.count("\ufffd".encode()) if codec.startswith("utf-8") else 0)
    allowed = max(len(data) * _MAX_BAD_SHARE, int(len(data) >= _MIN_BYTES))
    if bad <= allowed or bad <= _MAX_BAD_SEQUENCES * sum(character > "\x7f" for character in text):
        return text
    if b"%PDF-" in data[:_LATE_PDF_BYTES]:
        raise DamagedDocument("the file contains other data before its PDF; remove that data and upload the PDF again")
    if codec == "utf-8":
        raise UnknownEncoding(
            "the text is not UTF-8, has no byte order mark and declares no other encoding; save it as UTF-8, or upload "
            "it with its encoding, as in `Content-Type: text/plain; charset=windows-1252`"
        )
    raise UnknownEncoding(f"the text is not in its declared encoding, {codec}; save it as UTF-8 and upload it again")
