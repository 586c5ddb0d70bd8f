"""The charsets that a text may declare, by the names that browsers and mail programs use."""

import codecs
import re
from typing import Final

# Declared and meant differ: what calls itself the first is mostly the second, which contains it (as browsers do it).
_SUPERSETS: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "euc_kr": "cp949",
}
_NO_CHARSETS: Final = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "utf-7"})
_WIDE: Final = re.compile(r"utf-(16|32)")
_ALIASES: Final = {"x-sjis": "cp932", "ks_c_5601-1987": "cp949", "iso-8859-8-i": "iso8859-8", "x-gbk": "gb18030"}


def find_codec(charset: str) -> str | None:
    """The name of Python's codec for a declared charset; None if there is none."""
    name = charset.strip().strip("'\"").lower()
    try:
        codec = codecs.lookup(_ALIASES.get(name, name)).name
        b"".decode(codec)
    except (LookupError, ValueError):  # ValueError: a null character
        return None
    return None if codec in _NO_CHARSETS else _SUPERSETS.get(codec, codec)


def is_wide(codec: str) -> bool:
    """Whether the codec's texts contain null bytes."""
    return _WIDE.match(codec) is not None
