"""Translates the provider's errors, once: retryable, rejected or broken, and whether the provider is at fault.

    fault         what                                                  waiting helps   another target helps
    rate_limited  429, and a rate limit reported in a stream            yes             yes
    unavailable   unreachable, 5xx, 408, 409, 425, overloaded, or no    yes             yes
                  first token in time
    quota         402, and a quota or budget that is used up            later           yes
    denied        3xx, 401, 403, 404, 405, 501: the address, the key,   no              yes
                  the model or the path
    none          the request is rejected, the answer breaks off after its first token, the deadline has passed

The messages are our own, because a provider's message may repeat the prompt or parts of the key. They contain the
provider's error code if it looks like a code. What the provider reported is kept apart, for the caller alone.
"""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import httpx2
import openai
from aiohttp.http_exceptions import HttpProcessingError

from jobs.errors import (
    UNREACHABLE_CODE,
    AttemptError,
    DeadlineExceeded,
    ProviderBroken,
    ProviderError,
    ProviderFault,
    ProviderRejected,
    ProviderRetryable,
)
from tasks.provider.timeouts import Timeouts
from tasks.provider.vendor_error import VendorError

_TIMER_TOLERANCE_SECONDS: Final = 0.01  # an event loop's timer may fire that early
UNSUPPORTED_STATUS: Final = frozenset({405, 501})  # the path is not for this call: a retry changes nothing
_NOT_FOUND_STATUS: Final = frozenset({404, 410})
_REDIRECTS: Final = range(300, 400)
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_RETRYABLE_STATUS: Final = frozenset({408, 409, 425, 498})  # 498: Groq has no capacity; 5xx as well
_TOO_MANY_REQUESTS: Final = 429
_PAYMENT_REQUIRED: Final = 402
_SERVER_ERRORS: Final = 500
_ABOUT_MODEL: Final = frozenset({None, "model"})  # the ``param`` of an error that is not about the input

# Providers' names for errors, in lower case. Those of statuses that say the same are left out.
_QUOTA_NAMES: Final = frozenset(
    {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}  # OpenAI
    | {"budget_exceeded"}  # LiteLLM
    | {"billing_error", "blocked_api_access", "arrearage"}  # Anthropic, Groq, Alibaba
    | {"exceeded_current_quota_error", "insufficient_user_quota"}  # Moonshot, One API
)
_KEY_NAMES: Final = frozenset(
    {"invalid_api_key", "account_deactivated", "unsupported_country_region_territory"}  # OpenAI
    | {"api_key_invalid", "organization_restricted"}  # Google and Groq, with status 400
)
_MODEL_NAMES: Final = frozenset(
    {"model_not_found", "model_decommissioned", "invalid_model", "deploymentnotfound", "unknown_path"}
)
_RATE_LIMIT_NAMES: Final = frozenset(
    {"rate_limit_exceeded", "rate_limit_error", "rate_limited", "rate_limit_reached_error", "ratelimitreached"}
    | {"too_many_requests", "too_many_requests_error", "too_many_tokens_error", "throttling_error"}
    | {"resource_exhausted", "limit_requests", "limit_tokens", "service_tier_capacity_exceeded"}
)
_UNAVAILABLE_NAMES: Final = frozenset(
    {"server_error", "slow_down", "service_unavailable", "service_unavailable_error", "internal_error"}
    | {"internal_server_error", "internalservererror", "unavailable", "timeout_error", "api_error"}
    | {"overloaded", "overloaded_error", "engine_overloaded", "engine_overloaded_error", "capacity_exceeded"}
)
_TOO_LARGE: Final = "request_too_large"  # to wait is no use: the request exceeds the limit alone
# Names with these beginnings are the fault of the request.
_POLICY_NAME: Final = re.compile(r"[a-z_]*policy|content_filter|moderation")
_REQUEST_FAULT_NAME: Final = re.compile(
    rf"invalid|unsupported|image|empty|context_length|string_above|{_POLICY_NAME.pattern}"
)


@contextmanager
def translate_errors(timeouts: Timeouts) -> Iterator[None]:
    """Turn every error of the SDK and its transport into one of our AttemptErrors.

    The original error is not chained: it holds the request, and the request holds the prompt.
    """
    deadline = time.monotonic() + timeouts.total - _TIMER_TOLERANCE_SECONDS
    try:
        yield
    except openai.APITimeoutError as error:
        # The SDK's aiohttp transport reports a refused connection as a connect timeout.
        raise (unreachable() if isinstance(error.__cause__, httpx2.ConnectTimeout) else timed_out(timeouts)) from None
    except openai.APIStatusError as error:
        raise from_status(error.status_code, VendorError.read(error.body), error.response.headers) from None
    except openai.APIConnectionError as error:
        raise (stream_cut() if isinstance(error.__cause__, httpx2.ReadError) else unreachable()) from None
    except openai.APIResponseValidationError:
        raise protocol_error() from None
    except openai.APIError:
        raise from_stream_error(None) from None
    except TimeoutError:
        has_passed = timeouts.is_deadline and time.monotonic() >= deadline
        raise (deadline_passed() if has_passed else timed_out(timeouts)) from None
    except (httpx2.TransportError, aiohttp.ClientError, HttpProcessingError, OSError):
        raise stream_cut() from None
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise protocol_error() from None


def from_status(status: int, error: VendorError, headers: Mapping[str, str]) -> AttemptError:
    """Pure: the error for an HTTP status of the provider, with the error that the provider reported."""
    attempt_error = _by_status(status, error, headers)
    attempt_error.provider_error = _for_caller(error, status)
    return attempt_error


def _for_caller(error: VendorError, status: int | None = None) -> ProviderError | None:
    """Without what concerns this server alone: its key, of which a 403 may quote a part, or where a redirect leads."""
    if error.reported is None or status == _UNAUTHORIZED or status in _REDIRECTS or error.names & _KEY_NAMES:
        return None
    return replace(error.reported, message=None) if status == _FORBIDDEN else error.reported


def _by_status(status: int, error: VendorError, headers: Mapping[str, str]) -> AttemptError:
    message = f"the provider answered {status}" + (f" ({error.shown_code})" if error.shown_code else "")
    names, retry_after = error.names, read_retry_after(headers, datetime.now(UTC)) or error.retry_after_seconds
    if names & _QUOTA_NAMES or status == _PAYMENT_REQUIRED:
        return _rejected(f"{message}: its quota is used up", "provider_quota_exceeded", ProviderFault.QUOTA)
    if status == _TOO_MANY_REQUESTS and _TOO_LARGE not in names:
        return _retryable(message, "provider_rate_limited", ProviderFault.RATE_LIMITED, retry_after)
    if status in _RETRYABLE_STATUS or (status >= _SERVER_ERRORS and status not in UNSUPPORTED_STATUS):
        return _retryable(message, "provider_unavailable", ProviderFault.UNAVAILABLE, retry_after)
    return _refusal(status, error, message)


def _refusal(status: int, error: VendorError, message: str) -> ProviderRejected:
    if status in _REDIRECTS:
        advice = "redirects are not followed; set the provider's URL to the address that answers"
        return _rejected(f"{message}: {advice}", "provider_redirected", ProviderFault.DENIED)
    if error.names & _MODEL_NAMES or status in _NOT_FOUND_STATUS:
        fault = ProviderFault.DENIED if _lacks_model(error) else None
        return _rejected(f"{message}: no such model or path", "provider_not_found", fault)
    if status in UNSUPPORTED_STATUS:
        fault = None if _is_about_input(error) else ProviderFault.DENIED
        return _rejected(f"{message}: it does not support this call", "provider_rejected_request", fault)
    if error.names & _KEY_NAMES or (status in (_UNAUTHORIZED, _FORBIDDEN) and not _is_about_input(error)):
        advice = "it rejects the API key; check the provider's key"
        return _rejected(f"{message}: {advice}", "provider_auth_failed", ProviderFault.DENIED)
    return _rejected(f"{message}: it rejects this request", "provider_rejected_request", None)


def _lacks_model(error: VendorError) -> bool:
    """False if another object that the request names may be missing: OpenAI sends the same status for both."""
    return bool(error.names & _MODEL_NAMES) or not (_is_about_input(error) or "invalid_request_error" in error.names)


def _is_about_input(error: VendorError) -> bool:
    return error.param not in _ABOUT_MODEL or any(map(_POLICY_NAME.match, error.names))


def from_stream_error(payload: Any) -> AttemptError:
    """Pure: the error for an error event in the provider's stream. Some providers put an HTTP status in it.

    An unknown error is retryable: a needless retry costs some calls, a missing one costs the answer.
    """
    error = VendorError.read(payload)
    if error.status is not None:
        return from_status(error.status, error, {})
    attempt_error = _by_name(error)
    attempt_error.provider_error = _for_caller(error)
    return attempt_error


def _by_name(error: VendorError) -> AttemptError:
    message = f"the provider reported an error in its stream ({error.shown_code or 'no code'})"
    if error.names & (_QUOTA_NAMES | _KEY_NAMES | _MODEL_NAMES) or _TOO_LARGE in error.names:
        return _by_status(HTTPStatus.BAD_REQUEST, error, {})
    if error.names & _RATE_LIMIT_NAMES:
        return _retryable(message, "provider_rate_limited", ProviderFault.RATE_LIMITED, error.retry_after_seconds)
    if error.names & _UNAVAILABLE_NAMES:
        return _retryable(message, "provider_stream_error", ProviderFault.UNAVAILABLE, error.retry_after_seconds)
    if any(map(_REQUEST_FAULT_NAME.match, error.names)):
        return _by_status(HTTPStatus.BAD_REQUEST, error, {})
    return _retryable(message, "provider_stream_error", None, error.retry_after_seconds)


def _rejected(message: str, code: str, fault: ProviderFault | None) -> ProviderRejected:
    return ProviderRejected(message, code=code, fault=fault)


def _retryable(
    message: str, code: str, fault: ProviderFault | None, retry_after_seconds: float | None = None
) -> ProviderRetryable:
    return ProviderRetryable(message, code=code, fault=fault, retry_after_seconds=retry_after_seconds)


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


def timed_out(timeouts: Timeouts) -> ProviderRetryable:
    """The provider is not to blame for a timeout that the request itself has shortened."""
    fault = None if timeouts.is_shortened else ProviderFault.UNAVAILABLE
    return _retryable("the provider did not answer in time", "provider_timeout", fault)


def deadline_passed() -> DeadlineExceeded:
    return DeadlineExceeded("the job's deadline passed before it finished")


def unreachable() -> ProviderRetryable:
    return _retryable("the provider cannot be reached", UNREACHABLE_CODE, ProviderFault.UNAVAILABLE)


def stream_cut() -> ProviderRetryable:
    message = "the provider's stream ended before its last event"
    return _retryable(message, "provider_stream_cut", ProviderFault.UNAVAILABLE)


@contextmanager
def blame_provider_until_started(has_started: Callable[[], bool]) -> Iterator[None]:
    """Once the answer has started, that it breaks off may be the job's own fault: another attempt may do so too."""
    try:
        yield
    except AttemptError as error:
        if error.fault is ProviderFault.UNAVAILABLE and has_started():
            error.fault = None
        raise


def protocol_error() -> ProviderBroken:
    return ProviderBroken("the provider does not follow the OpenAI protocol; check its URL")
