"""The decision after a failed attempt, as a pure function: wait for the provider, retry after a wait, or give up.

A fault of the provider uses up none of the job's attempts while its targets are closed: the job waits, until its
deadline if need be. An error of the job's own, or one that nothing explains, uses up an attempt.
"""

from dataclasses import dataclass
from typing import Final

from jobs.errors import UNREACHABLE_CODE, AttemptError, ProviderFault
from jobs.settings import Settings
from jobs.storage.transitions import AfterFault

_MAX_DOUBLINGS: Final = 30  # far beyond any cap; a job may wait any number of times


@dataclass(frozen=True)
class TryAgain:
    wait_seconds: float


@dataclass(frozen=True)
class WaitForProvider:
    """No attempt is used up. ``wait_seconds`` is 0 where the job waits in its line until a target is open."""

    wait_seconds: float = 0


@dataclass(frozen=True)
class GiveUp:
    reason: str  # the reason to add to the error message; '' if the error itself is the reason


def decide_after_fault(
    error: AttemptError, after: AfterFault, waits: int, remaining_seconds: float, settings: Settings, jitter: float
) -> WaitForProvider | GiveUp | None:
    """After a fault of the provider that has been noted. ``waits``: earlier ones of this job. None: as ``decide``."""
    is_closed = after.closed_seconds > 0
    if error.fault in (ProviderFault.DENIED, ProviderFault.QUOTA) and not (after.is_other_open or is_closed):
        return GiveUp("")
    if after.closed_seconds >= remaining_seconds:
        return GiveUp("the provider stays closed until after the job's deadline")
    if after.is_other_open or is_closed:
        return WaitForProvider()
    if error.code == UNREACHABLE_CODE:
        return WaitForProvider(_backoff(min(waits, _MAX_DOUBLINGS), settings, jitter))
    return None


def decide(
    error: AttemptError,
    failures: int,
    max_attempts: int,
    remaining_seconds: float,
    settings: Settings,
    jitter: float,
) -> TryAgain | GiveUp:
    """``failures`` includes this one; ``jitter`` is a random number from 0 up to 1.

    The wait doubles with each failure up to the cap. Jitter spreads it over its upper half, so that jobs that failed
    simultaneously do not retry simultaneously. The wait is never shorter than the provider's Retry-After.
    """
    if not error.is_retryable:
        return GiveUp("")
    if failures >= max_attempts:
        return GiveUp(f"{failures} of {max_attempts} attempts used")
    retry_after = error.retry_after_seconds or 0
    if retry_after > settings.retry_after_cap_seconds:
        return GiveUp(f"the provider's Retry-After of {retry_after:.0f} s exceeds CHATQUEUE_RETRY_AFTER_CAP_SECONDS")
    backoff = _backoff(failures - 1, settings, jitter)
    wait = retry_after + backoff * jitter if retry_after > backoff else backoff
    if wait >= remaining_seconds:
        return GiveUp("the next attempt would start after the job's deadline")
    return TryAgain(wait)


def _backoff(doublings: int, settings: Settings, jitter: float) -> float:
    """Seconds: doubled up to the cap, and spread over the upper half."""
    longest = min(settings.backoff_base_seconds * 2.0**doublings, settings.backoff_cap_seconds)
    return longest * (0.5 + jitter / 2)
