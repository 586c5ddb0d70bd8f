"""What a provider has been found to support. A finding expires, because a provider may be upgraded or replaced."""

import time
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

ApiFormat: TypeAlias = Literal["auto", "responses", "chat"]

RELEARN_SECONDS: Final = 3600.0  # a call to a missing path can be costly: some proxies block a model for a while


class ProviderSupport:
    """For one provider. ``api_format`` and ``streams`` are the operator's settings, which take precedence."""

    def __init__(self, api_format: ApiFormat, *, streams: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._set_format = api_format
        self._always_whole = not streams
        self._clock = clock
        self._found_format: ApiFormat = "auto"
        self._format_expires_at = 0.0
        self._whole_until: dict[str, float] = {}  # by model whose answers cannot be streamed

    @property
    def api_format(self) -> ApiFormat:
        if self._set_format != "auto":
            return self._set_format
        return self._found_format if self._clock() < self._format_expires_at else "auto"

    @property
    def may_fall_back(self) -> bool:
        """True if a call to a missing path may be repeated in the other format."""
        return self._set_format == "auto"

    def found_format(self, api_format: ApiFormat) -> None:
        self._found_format, self._format_expires_at = api_format, self._clock() + RELEARN_SECONDS

    def streams(self, model: str) -> bool:
        return not self._always_whole and self._whole_until.get(model, 0.0) <= self._clock()

    def found_unstreamed(self, model: str) -> None:
        """The provider has refused to stream the answers of this model."""
        now = self._clock()
        self._whole_until = {name: until for name, until in self._whole_until.items() if until > now}
        self._whole_until[model] = now + RELEARN_SECONDS
