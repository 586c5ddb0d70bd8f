"""The display name of a document, cleaned from an untrusted file name."""

import re
import unicodedata
from typing import Final

_MAX_NAME_CHARS: Final = 200  # names are shown to users and given to models
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # controls, bidi marks, ...
_DEFAULT_NAME: Final = "document"


def clean_filename(name: str) -> str:
    """The display name, without folders, control characters and outer whitespace. Never used as a path."""
    visible = "".join(character for character in name if unicodedata.category(character) not in _INVISIBLE_CATEGORIES)
    base_name = re.split(r"[/\\]", unicodedata.normalize("NFC", visible))[-1]
    return base_name.strip(" .")[:_MAX_NAME_CHARS].strip() or _DEFAULT_NAME
