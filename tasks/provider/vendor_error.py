"""Reads what a provider says about an error: its names for it, when to try again, and what the caller gets of it. Pure.

Providers agree on the status and on little else. A few fixed phrases of a message are read as names, where a provider
sends no code. The message itself is only in ``reported``, because it may repeat the prompt.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from jobs.errors import ProviderError
from tasks.provider.reported_error import reported_error

_SHOWN_CODE: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_NAME_CHARS: Final = 64
_MESSAGE_CHARS: Final = 500  # in which the phrases are looked for
_STATUSES: Final = range(400, 600)
_STATUS_FIELDS: Final = ("code", "status", "status_code")
_DELAY: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")
_PHRASES: Final = (
    ("credit balance is too low", "insufficient_quota"),  # Anthropic, with status 400
    ("invalid model name passed", "model_not_found"),  # LiteLLM, with status 400
    ("invalid url", "unknown_path"),  # OpenAI, with status 404, where a model has a code
    ("request too large", "request_too_large"),  # OpenAI and Groq, with status 429 and the code of a rate limit
)


@dataclass(frozen=True)
class VendorError:
    """An error in a provider's words.

    ``names`` are its codes and types in lower case. ``status`` is an HTTP status in the error itself, which some
    providers send in a stream. ``param`` is the parameter of the request that the error concerns. ``reported`` is for
    the caller alone; None if the provider has sent nothing to pass on.
    """

    shown_code: str | None = None  # the code, if it looks like one: any other value might contain content
    names: frozenset[str] = frozenset()
    status: int | None = None
    param: str | None = None
    retry_after_seconds: float | None = None
    reported: ProviderError | None = None

    @property
    def message(self) -> str:
        """The provider's own text. It may repeat the prompt."""
        return (self.reported and self.reported.message) or ""

    @classmethod
    def read(cls, body: Any) -> "VendorError":
        """From the JSON of an error response or an error event, whole or its ``error`` alone. Never raises."""
        fields = _error_fields(body)
        reported = reported_error(fields)
        details = [detail for detail in _list(fields.get("details")) if isinstance(detail, dict)]
        return cls(
            shown_code=as_error_code(fields.get("code")) or as_error_code(fields.get("type")),
            names=frozenset(_names(fields, details)),
            status=next(filter(None, (_status(fields.get(name)) for name in _STATUS_FIELDS)), None),
            param=reported.param if reported else None,
            retry_after_seconds=next((delay for delay in map(_retry_delay, details) if delay is not None), None),
            reported=reported,
        )


def as_error_code(vendor_code: object) -> str | None:
    """The code, if it looks like one. Any other value might contain content."""
    return vendor_code if isinstance(vendor_code, str) and _SHOWN_CODE.fullmatch(vendor_code) else None


def _error_fields(body: Any) -> dict[str, Any]:
    """Google puts the object into a list. Some servers send its fields without ``error``, or ``error`` as a text."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return {"message": body}
    error = body.get("error")
    return error if isinstance(error, dict) else body | {"message": body.get("message") or error}


def _names(fields: dict[str, Any], details: list[dict[str, Any]]) -> Iterable[str]:
    named = [
        fields.get("code"),
        fields.get("type"),
        fields.get("status"),
        *(detail.get("reason") for detail in details),
    ]
    yield from (name.lower() for name in named if isinstance(name, str) and len(name) <= _NAME_CHARS)
    message = (_text(fields.get("message")) or "")[:_MESSAGE_CHARS].lower()
    yield from (name for phrase, name in _PHRASES if phrase in message)
    if _is_moderation(fields.get("metadata")):
        yield "content_policy"
    if _is_daily(details):
        yield "insufficient_quota"


def _is_moderation(metadata: Any) -> bool:
    """OpenRouter sends a refusal of a moderation with status 403."""
    return isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata)


def _is_daily(details: list[dict[str, Any]]) -> bool:
    """Whether Google's limits that were exceeded are all daily. It sends them with the status of a rate limit."""
    violations = [entry for detail in details for entry in _list(detail.get("violations")) if isinstance(entry, dict)]
    return bool(violations) and all("PerDay" in (_text(entry.get("quotaId")) or "") for entry in violations)


def _retry_delay(detail: dict[str, Any]) -> float | None:
    """Google sends the wait in the body: ``"retryDelay": "36.5s"``."""
    match = _DELAY.fullmatch(_text(detail.get("retryDelay")) or "")
    return float(match[1]) if match else None


def _status(code: Any) -> int | None:
    """LiteLLM sends the status as a text."""
    if isinstance(code, str) and re.fullmatch(r"[45][0-9]{2}", code):
        code = int(code)
    return code if type(code) is int and code in _STATUSES else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
