"""Translates the provider's errors, once: retryable, rejected or broken.

The messages are our own, because a provider's message may repeat the prompt or parts of the key. They contain the
provider's error code if it looks like a code. What the provider reported is kept apart, for the caller alone.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import aiohttp
import httpx2
import openai
from aiohttp.http_exceptions import HttpProcessingError

from jobs.errors import (
    AttemptError,
    DeadlineExceeded,
    ProviderBroken,
    ProviderError,
    ProviderRejected,
    ProviderRetryable,
)
from tasks.provider.reported_error import read_reported_error
from tasks.provider.timeouts import Timeouts

_VENDOR_CODE: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_UNSUPPORTED_STATUS: Final = frozenset({405, 501})  # a retry changes nothing
_MISSING_ENDPOINT_STATUS: Final = frozenset({404, 405, 501})
_MISSING_ENDPOINT_CODES: Final = frozenset({"", "not_found", "unknown_url", "route_not_found", "endpoint_not_found"})
_NAMED_OBJECT: Final = re.compile(r"(?i)\b(model|item|deployment|previous response|file (with|id)|file(:|_))")
_KEY_REJECTED: Final = ("it rejects the API key; see OPENAI_API_KEY", "provider_auth_failed")
_UNSUPPORTED: Final = ("it does not support this call", "provider_rejected_request")
_REJECTIONS: Final = {  # by status: the reason and our code
    401: _KEY_REJECTED,
    403: _KEY_REJECTED,
    404: ("no such model or path", "provider_not_found"),
    405: _UNSUPPORTED,
    501: _UNSUPPORTED,
}
_STREAM_REFUSALS: Final = frozenset({400, 403, 405, 422, 501})
_STREAM_UNSUPPORTED: Final = re.compile(r"(?i)\bstream\w*\b.{0,40}\b(unsupported|not (supported|available|allowed))")
_ERROR_STATUS: Final = range(400, 600)
_STATUS_DIGITS: Final = 3
_RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 429})
# Error codes with these beginnings are the fault of the request.
_REQUEST_FAULT_CODE: Final = re.compile(
    r"invalid|unsupported|image|empty|context_length|string_above|[a-z_]*policy|content_filter|model_not_found"
)
_PERMANENT_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})


@contextmanager
def translate_errors(timeouts: Timeouts) -> Iterator[None]:
    """Turn every error of the SDK and its transport into one of our AttemptErrors.

    The original error is not chained: it holds the request, and the request holds the prompt.
    """
    try:
        yield
    except openai.APITimeoutError as error:
        # The SDK's aiohttp transport reports a refused connection as a connect timeout.
        raise (unreachable() if isinstance(error.__cause__, httpx2.ConnectTimeout) else timed_out()) from None
    except openai.APIStatusError as error:
        reported = read_reported_error(error.body)
        raise from_status(error.status_code, _vendor_code(error), error.response.headers, reported) from None
    except openai.APIConnectionError as error:
        raise (stream_cut() if isinstance(error.__cause__, httpx2.ReadError) else unreachable()) from None
    except openai.APIResponseValidationError:
        raise protocol_error() from None
    except openai.APIError:
        raise from_stream_error(None) from None
    except TimeoutError:
        raise (deadline_passed() if timeouts.is_deadline else timed_out()) from None
    except (httpx2.TransportError, aiohttp.ClientError, HttpProcessingError, OSError):
        raise stream_cut() from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise protocol_error() from None


def from_status(
    status: int, vendor_code: str | None, headers: Mapping[str, str], reported: ProviderError | None = None
) -> AttemptError:
    """Pure: the error for an HTTP status of the provider, with the error that the provider reported."""
    error = _by_status(status, vendor_code, headers)
    if status == 401 or reported is None:  # noqa: PLR2004  # unauthorized: it concerns this server's key alone
        return error
    # The message of a 403 may contain a part of that key.
    error.provider_error = replace(reported, message=None) if status == 403 else reported  # noqa: PLR2004  # forbidden
    return error


def _by_status(status: int, vendor_code: str | None, headers: Mapping[str, str]) -> AttemptError:
    message = f"the provider answered {status}" + (f" ({vendor_code})" if vendor_code else "")
    retry_after = read_retry_after(headers, datetime.now(UTC))
    if vendor_code in _PERMANENT_CODES:
        return ProviderRejected(f"{message}: its quota is used up", code="provider_quota_exceeded")
    if status == 429:  # noqa: PLR2004  # too many requests
        return ProviderRetryable(message, code="provider_rate_limited", retry_after_seconds=retry_after)
    is_temporary = status in _RETRYABLE_STATUS or status >= 500  # noqa: PLR2004  # server errors
    if is_temporary and status not in _UNSUPPORTED_STATUS:
        return ProviderRetryable(message, code="provider_unavailable", retry_after_seconds=retry_after)
    reason, code = _REJECTIONS.get(status, ("it rejects this request", "provider_rejected_request"))
    return ProviderRejected(f"{message}: {reason}", code=code)


def from_stream_error(error: Any) -> AttemptError:
    """Pure: the error for an error event in the provider's stream. Some providers put an HTTP status in its ``code``.

    An unknown error is retryable: a needless retry costs some calls, a missing one costs the answer.
    """
    payload = error if isinstance(error, dict) else {}
    if isinstance(payload.get("error"), dict):
        return from_stream_error(payload["error"])
    status, vendor_code = _status_in(payload), as_error_code(payload.get("code")) or as_error_code(payload.get("type"))
    reported = read_reported_error(error)
    if status is not None:
        return from_status(status, vendor_code, {}, reported)
    if vendor_code is not None and (vendor_code in _PERMANENT_CODES or _REQUEST_FAULT_CODE.match(vendor_code)):
        return from_status(400, vendor_code, {}, reported)
    message = f"the provider reported an error in its stream ({vendor_code or 'no code'})"
    our_code = "provider_rate_limited" if vendor_code == "rate_limit_exceeded" else "provider_stream_error"
    return ProviderRetryable(message, code=our_code, provider_error=reported)


def _status_in(error: Mapping[str, Any]) -> int | None:
    """The HTTP status that some providers put into an error, as a number or as a text."""
    for name in ("code", "status", "status_code"):
        value = error.get(name)
        number = int(value) if isinstance(value, str) and value.isdecimal() and len(value) == _STATUS_DIGITS else value
        if isinstance(number, int) and number in _ERROR_STATUS:
            return number
    return None


def read_retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait, from ``retry-after-ms`` or ``Retry-After`` (seconds or a date); None if absent or malformed."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        try:
            return max(0.0, float(value))
        except ValueError:
            return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None


def timed_out() -> ProviderRetryable:
    return ProviderRetryable("the provider did not answer in time", code="provider_timeout")


def deadline_passed() -> DeadlineExceeded:
    return DeadlineExceeded("the job's deadline passed before it finished")


def unreachable() -> ProviderRetryable:
    return ProviderRetryable("the provider cannot be reached", code="provider_unreachable")


def stream_cut() -> ProviderRetryable:
    return ProviderRetryable("the provider's stream ended before its last event", code="provider_stream_cut")


def protocol_error() -> ProviderBroken:
    return ProviderBroken("the server at OPENAI_BASE_URL does not follow the OpenAI protocol")


def lacks_endpoint(error: openai.APIStatusError) -> bool:
    """Whether the provider has no such path, as opposed to no such model, file or item.

    An error with a parameter, or with a code in words, is about the request.
    """
    if error.status_code not in _MISSING_ENDPOINT_STATUS:
        return False
    is_about_request = error.param is not None or (as_error_code(error.code) or "") not in _MISSING_ENDPOINT_CODES
    return error.status_code in _UNSUPPORTED_STATUS or not (is_about_request or _names_object(error.body))


def refuses_stream(error: openai.APIStatusError) -> bool:
    """Whether the provider rejects the request only because it asks for a stream."""
    if error.status_code not in _STREAM_REFUSALS:
        return False
    message = error.body.get("message") if isinstance(error.body, dict) else None
    is_named = isinstance(message, str) and _STREAM_UNSUPPORTED.search(message) is not None
    return error.param == "stream" or (error.param is None and is_named)


def _names_object(body: object) -> bool:
    """Whether the message of an error is about a model, a file or an item."""
    message = body.get("message") if isinstance(body, dict) else None
    return isinstance(message, str) and _NAMED_OBJECT.search(message) is not None


def _vendor_code(error: openai.APIError) -> str | None:
    return as_error_code(error.code) or as_error_code(error.type)


def as_error_code(vendor_code: object) -> str | None:
    """The code, if it looks like one. Any other value might contain content."""
    return vendor_code if isinstance(vendor_code, str) and _VENDOR_CODE.fullmatch(vendor_code) else None
