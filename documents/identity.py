"""Who a document is: its id, and its name out of what a stranger called it."""

import re
import unicodedata
import uuid
from typing import Final

DOCUMENT_ID_PATTERN: Final = r"^doc_[0-9a-f]{32}$"
_DOCUMENT_ID: Final = re.compile(DOCUMENT_ID_PATTERN)
_MAX_NAME_CHARS: Final = 200  # characters; names are shown and put before models
_INVISIBLE_CATEGORIES: Final = frozenset(
    {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
)  # controls, marks that turn text around, ...
_DEFAULT_NAME: Final = "document"


def new_document_id() -> str:
    """A name that nothing has had before: what is left of a deleted document is never taken for its successor's."""
    return f"doc_{uuid.uuid4().hex}"


def is_document_id(text: str) -> bool:
    """True for a well-formed id; the only thing that may become part of a path."""
    return _DOCUMENT_ID.fullmatch(text) is not None


def clean_filename(name: str) -> str:
    """The name to show: without folders, control characters and outer blanks. It never reaches a file system."""
    visible = "".join(character for character in name if unicodedata.category(character) not in _INVISIBLE_CATEGORIES)
    base_name = re.split(r"[/\\]", unicodedata.normalize("NFC", visible))[-1]
    return base_name.strip(" .")[:_MAX_NAME_CHARS].strip() or _DEFAULT_NAME
