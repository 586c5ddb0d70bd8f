"""The name of a document, cleaned of what its sender may have put into it."""

import re
import unicodedata
from typing import Final

_MAX_NAME_CHARS: Final = 200  # characters; names are shown and put before models
_INVISIBLE_CATEGORIES: Final = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # controls, marks that turn text around, ...
_DEFAULT_NAME: Final = "document"


def clean_filename(name: str) -> str:
    """The name to show: without folders, control characters and outer blanks. It never reaches a file system."""
    visible = "".join(character for character in name if unicodedata.category(character) not in _INVISIBLE_CATEGORIES)
    base_name = re.split(r"[/\\]", unicodedata.normalize("NFC", visible))[-1]
    return base_name.strip(" .")[:_MAX_NAME_CHARS].strip() or _DEFAULT_NAME
