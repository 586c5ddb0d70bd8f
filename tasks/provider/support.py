"""What a provider has been found to support. A finding expires, because a provider may be upgraded or replaced."""

import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

import openai

from jobs.providers import ProviderApi
from tasks.provider.errors import UNSUPPORTED_STATUS
from tasks.provider.vendor_error import VendorError, as_error_code

RELEARN_SECONDS: Final = 3600.0  # a call to a missing path can be costly: some proxies block a model for a while
_MISSING_ENDPOINT_CODES: Final = frozenset({None, "not_found", "unknown_url", "route_not_found", "endpoint_not_found"})
_NAMED_OBJECT: Final = re.compile(r"(?i)\b(model(?! group)|item|deployment|previous response|file (with|id)|file(:|_))")
MAX_TOKENS: Final = {"max_completion_tokens": "max_tokens"}  # the name of the limit, and its older name
_UNKNOWN_PARAMETER: Final = re.compile(
    r"(?i)\b(unknown|unrecogni[sz]ed|unexpected|unsupported|extra_forbidden|extra (inputs|fields)|"
    r"not (supported|permitted|allowed|recogni[sz]ed))\b"
)
_PARAMETER_REFUSALS: Final = frozenset({400, 422})
_STREAM_REFUSALS: Final = frozenset({400, 403, 405, 422, 501})
_STREAM_UNSUPPORTED: Final = re.compile(r"(?i)\bstream\w*\b.{0,40}\b(unsupported|not (supported|available|allowed))")


class ProviderSupport:
    """For one provider. ``api_format`` and ``streams`` are the operator's settings, which take precedence."""

    def __init__(self, api_format: ProviderApi, *, streams: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._set_format = api_format
        self._always_whole = not streams
        self._clock = clock
        self._found_format: ProviderApi = "auto"
        self._format_expires_at = 0.0
        self._whole_until: dict[str, float] = {}  # by model whose answers cannot be streamed
        self._older_limit_until: dict[str, float] = {}  # by model that knows its limit of tokens by the older name only

    @property
    def api_format(self) -> ProviderApi:
        if self._set_format != "auto":
            return self._set_format
        return self._found_format if self._clock() < self._format_expires_at else "auto"

    @property
    def may_fall_back(self) -> bool:
        """True if a call to a missing path may be repeated in the other format."""
        return self._set_format == "auto"

    def found_format(self, api_format: ProviderApi) -> None:
        self._found_format, self._format_expires_at = api_format, self._clock() + RELEARN_SECONDS

    def streams(self, model: str) -> bool:
        return not self._always_whole and self._whole_until.get(model, 0.0) <= self._clock()

    def found_unstreamed(self, model: str) -> None:
        """The provider has refused to stream the answers of this model."""
        self._whole_until = self._with_finding(self._whole_until, model)

    def has_older_limit(self, model: str) -> bool:
        return self._older_limit_until.get(model, 0.0) > self._clock()

    def found_older_limit(self, model: str) -> None:
        """The provider has refused the newer name of the limit of tokens for this model."""
        self._older_limit_until = self._with_finding(self._older_limit_until, model)

    def _with_finding(self, findings: dict[str, float], model: str) -> dict[str, float]:
        now = self._clock()
        return {name: until for name, until in findings.items() if until > now} | {model: now + RELEARN_SECONDS}


def lacks_endpoint(error: openai.APIStatusError) -> bool:
    """Whether the provider has no such path, as opposed to no such model, file or item.

    An error with a parameter, or with a code in words, is about the request.
    """
    if error.status_code in UNSUPPORTED_STATUS:
        return True
    vendor_error = VendorError.read(error.body)
    is_about_request = vendor_error.param is not None or as_error_code(error.code) not in _MISSING_ENDPOINT_CODES
    is_about_request = is_about_request or _NAMED_OBJECT.search(vendor_error.message) is not None
    return error.status_code == HTTPStatus.NOT_FOUND and not is_about_request


def refuses_stream(error: openai.APIStatusError) -> bool:
    """Whether the provider rejects the request only because it asks for a stream."""
    vendor_error = VendorError.read(error.body)
    is_named = vendor_error.param is None and _STREAM_UNSUPPORTED.search(vendor_error.message) is not None
    return error.status_code in _STREAM_REFUSALS and (vendor_error.param == "stream" or is_named)


def refuses_limit_name(error: openai.APIStatusError) -> bool:
    """Whether the provider does not know the newer name of the limit of tokens, as opposed to its value."""
    vendor_error = VendorError.read(error.body)
    (name,) = MAX_TOKENS
    is_named = name in (vendor_error.param or "") or name in vendor_error.message
    is_unknown = _UNKNOWN_PARAMETER.search(f"{error.code} {vendor_error.message}".replace("_parameter", " parameter"))
    return error.status_code in _PARAMETER_REFUSALS and is_named and is_unknown is not None
