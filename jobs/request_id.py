"""The id of an HTTP request, which leads from a caller's log to the job and to the log lines about it.

A caller may send its own id. It is logged, so it can contain neither blanks nor line breaks nor a ``=``.
"""

import re
import secrets
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

MAX_LENGTH: Final = 64  # keeps the record's hash in Redis' compact encoding
_FORM: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_LENGTH - 1}}}")
UNKNOWN: Final = "-"  # in a log line: no request created the job, or a version that did not record it


def new_request_id() -> str:
    """A new, unique id."""
    return f"req_{secrets.token_hex(16)}"


def read_request_id(text: Any) -> str | None:
    """The id, if it is well-formed; otherwise None."""
    return text if isinstance(text, str) and _FORM.fullmatch(text) else None


RequestId = Annotated[str | None, BeforeValidator(read_request_id)]
