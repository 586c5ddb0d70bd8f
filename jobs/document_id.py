"""The id of a document."""

import re
import uuid
from typing import Final

DOCUMENT_ID_PATTERN: Final = r"^doc_[0-9a-f]{32}$"
_DOCUMENT_ID: Final = re.compile(DOCUMENT_ID_PATTERN)


def new_document_id() -> str:
    """A new unique id, so that leftover data of a deleted document is never taken for another document's."""
    return f"doc_{uuid.uuid4().hex}"


def is_document_id(text: str) -> bool:
    """True for a well-formed id, whether or not such a document exists. Only a well-formed id may be part of a path."""
    return _DOCUMENT_ID.fullmatch(text) is not None
