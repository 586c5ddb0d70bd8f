"""The decision after a failed attempt, as a pure function: when to try again, or to give up."""

from dataclasses import dataclass

from jobs.errors import ProviderError, ProviderRetryable
from jobs.settings import Settings


@dataclass(frozen=True)
class TryAgain:
    wait_seconds: float


@dataclass(frozen=True)
class GiveUp:
    reason: str  # for the message of the error: why there is no further attempt


def decide(
    error: ProviderError, attempt: int, max_attempts: int, settings: Settings, jitter: float
) -> TryAgain | GiveUp:
    """``attempt`` counts from 1 and is the one that failed; ``jitter`` is a random number from 0 up to 1.

    The wait doubles with each attempt up to the cap, and is spread over its upper half so that jobs that failed
    together do not come back together. A provider's Retry-After is obeyed: never sooner, whatever our own wait.
    """
    if not isinstance(error, ProviderRetryable):
        return GiveUp("not worth another attempt")
    if attempt >= max_attempts:
        return GiveUp(f"{attempt} of {max_attempts} attempts used")
    asked = error.retry_after_seconds or 0
    if asked > settings.retry_after_cap_seconds:
        return GiveUp(f"the provider asks to wait {asked:.0f} s, longer than CHATQUEUE_RETRY_AFTER_CAP_SECONDS")
    full = min(settings.backoff_base_seconds * 2.0 ** (attempt - 1), settings.backoff_cap_seconds)
    own = full * (0.5 + jitter / 2)
    return TryAgain(asked + own * jitter if asked > own else own)
