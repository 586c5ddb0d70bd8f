"""The timeouts of one attempt: those of the request or else of the settings, and never beyond the job's deadline."""

from dataclasses import dataclass, replace
from typing import Self

from jobs.requests import Limits
from jobs.settings import Settings


@dataclass(frozen=True)
class Timeouts:
    """All in seconds. ``is_deadline``: ``total`` is the time until the job's deadline.

    ``is_shortened``: the request gives the provider less time than the settings do.
    """

    total: float
    first_token: float
    idle: float
    is_deadline: bool = False
    is_shortened: bool = False

    def after(self, seconds: float) -> Self:
        """The timeouts after a wait before the call. Only the deadline runs during the wait."""
        return replace(self, total=max(0.0, self.total - seconds)) if self.is_deadline else self

    @classmethod
    def of(cls, limits: Limits | None, remaining_seconds: float, settings: Settings) -> Self:
        requested = limits or Limits()
        total = requested.attempt_seconds or settings.provider_total_seconds
        first_token = requested.first_token_seconds or settings.provider_first_token_seconds
        return cls(
            total=max(0.0, min(total, remaining_seconds)),
            first_token=first_token,
            idle=requested.idle_seconds or settings.provider_idle_seconds,
            is_deadline=remaining_seconds <= total,
            is_shortened=total < settings.provider_total_seconds or first_token < settings.provider_first_token_seconds,
        )
