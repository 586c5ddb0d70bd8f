"""A document's id, and its display name, cleaned from an untrusted file name."""

import re
import unicodedata
import uuid
from typing import Final

DOCUMENT_ID_PATTERN: Final = r"^doc_[0-9a-f]{32}$"
_DOCUMENT_ID: Final = re.compile(DOCUMENT_ID_PATTERN)
_MAX_NAME_CHARS: Final = 200  # names are shown to users and given to models
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # controls, bidi marks, ...
_DEFAULT_NAME: Final = "document"


def new_document_id() -> str:
    """A new, unique id. Ids are never reused, so leftover data of a deleted document never belongs to another one."""
    return f"doc_{uuid.uuid4().hex}"


def is_document_id(text: str) -> bool:
    """Whether the id is well-formed. Only such an id may become part of a path."""
    return _DOCUMENT_ID.fullmatch(text) is not None


def clean_filename(name: str) -> str:
    """The display name, without folders, control characters and outer whitespace. Never used as a path."""
    visible = "".join(character for character in name if unicodedata.category(character) not in _INVISIBLE_CATEGORIES)
    base_name = re.split(r"[/\\]", unicodedata.normalize("NFC", visible))[-1]
    return base_name.strip(" .")[:_MAX_NAME_CHARS].strip() or _DEFAULT_NAME
