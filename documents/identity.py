"""Who a document is: its id out of its content, and its name out of what a stranger called it."""

import hashlib
import re
import unicodedata
from typing import Final

DOCUMENT_ID_PATTERN: Final = r"^doc_[0-9a-f]{32}$"
_DOCUMENT_ID: Final = re.compile(DOCUMENT_ID_PATTERN)
_LONGEST_NAME: Final = 200  # characters; names are shown and put before models
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})  # controls, marks that turn text around, ...
_NAMELESS: Final = "document"


def document_id(tenant: str, sha256: str) -> str:
    """The same file of the same tenant is the same document, whoever sends it and however often."""
    return "doc_" + hashlib.sha256(f"{tenant}\0{sha256}".encode()).hexdigest()[:32]


def is_document_id(text: str) -> bool:
    """True for a well-formed id; the only thing that may become part of a path."""
    return _DOCUMENT_ID.fullmatch(text) is not None


def clean_filename(name: str) -> str:
    """The name to show: without folders, control characters and outer blanks. It never reaches a file system."""
    seen = "".join(character for character in name if unicodedata.category(character) not in _UNSEEN)
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", seen))[-1]
    return last.strip(" .")[:_LONGEST_NAME].strip() or _NAMELESS
