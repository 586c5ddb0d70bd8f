"""The decision after a failed attempt, as a pure function: when to try again, or to give up."""

from dataclasses import dataclass

from jobs.errors import AttemptError
from jobs.settings import Settings


@dataclass(frozen=True)
class TryAgain:
    wait_seconds: float


@dataclass(frozen=True)
class GiveUp:
    reason: str  # for the message of the error: why there is no further attempt; '' where that says enough


def decide(
    error: AttemptError,
    failures: int,
    max_attempts: int,
    remaining_seconds: float,
    settings: Settings,
    jitter: float,
) -> TryAgain | GiveUp:
    """``failures`` so far, this one included; ``jitter`` is a random number from 0 up to 1.

    The wait doubles with each failure up to the cap, and is spread over its upper half so that jobs that failed
    together do not come back together. A provider's Retry-After is obeyed: never sooner, whatever our own wait.
    """
    if not error.is_retryable:
        return GiveUp("")
    if failures >= max_attempts:
        return GiveUp(f"{failures} of {max_attempts} attempts used")
    retry_after = error.retry_after_seconds or 0
    if retry_after > settings.retry_after_cap_seconds:
        return GiveUp(f"the provider asks to wait {retry_after:.0f} s, longer than CHATQUEUE_RETRY_AFTER_CAP_SECONDS")
    max_backoff = min(settings.backoff_base_seconds * 2.0 ** (failures - 1), settings.backoff_cap_seconds)
    backoff = max_backoff * (0.5 + jitter / 2)
    wait = retry_after + backoff * jitter if retry_after > backoff else backoff
    if wait >= remaining_seconds:
        return GiveUp("the job's deadline comes before its next attempt")
    return TryAgain(wait)
