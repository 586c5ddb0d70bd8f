"""Reads the error that a provider has reported: its code, type, parameter and message, for the caller alone."""

import re
from typing import Any, Final

from jobs.errors import ProviderError

_MAX_NAME_CHARS: Final = 200  # of a code, a type or a parameter
_MAX_MESSAGE_CHARS: Final = 2_000
_KEY: Final = re.compile(r"\b(sk|pk)[-_][A-Za-z0-9*_.-]{4,}")  # a part of an API key
_MARKUP: Final = re.compile(r"\s*<")
_NOTHING: Final = ("", "None")  # LiteLLM sends the word


def reported_error(fields: dict[str, Any]) -> ProviderError | None:
    """From the fields of an error; None if they contain nothing to pass on."""
    names = {name: _name(fields.get(name)) for name in ("code", "type", "param")}
    error = ProviderError(**names, message=_message(fields.get("message") or fields.get("detail")))
    return None if error == ProviderError() else error


def _name(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value[:_MAX_NAME_CHARS] if isinstance(value, str) and value not in _NOTHING else None


def _message(value: Any) -> str | None:
    """The text without API keys. FastAPI sends a list of objects; an HTML page tells a caller nothing."""
    if isinstance(value, list):
        value = "; ".join(filter(None, map(_validation_message, value)))
    if not isinstance(value, str) or not value or _MARKUP.match(value):
        return None
    return _KEY.sub(r"\1-***", value)[:_MAX_MESSAGE_CHARS]


def _validation_message(entry: Any) -> str | None:
    if not isinstance(entry, dict):
        return None
    location = entry.get("loc")
    place = ".".join(map(str, location)) if isinstance(location, list) else ""
    return ": ".join(filter(None, (place, str(entry.get("msg") or ""))))
