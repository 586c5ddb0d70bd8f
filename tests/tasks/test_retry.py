"""The decision after a failed attempt: a table, without a clock and without randomness."""

import pytest

from jobs.errors import ProviderBroken, ProviderRejected, ProviderRetryable
from jobs.settings import Settings
from tasks.retry import GiveUp, TryAgain, decide

SETTINGS = Settings(backoff_base_seconds=1)


def retryable(retry_after_seconds=None):
    return ProviderRetryable("m", code="c", retry_after_seconds=retry_after_seconds)


@pytest.mark.parametrize(
    ("error", "attempt", "jitter", "expected"),
    [
        (retryable(), 1, 1.0, TryAgain(1.0)),
        (retryable(), 1, 0.0, TryAgain(0.5)),
        (retryable(), 2, 1.0, TryAgain(2.0)),
        (retryable(), 3, 0.5, TryAgain(3.0)),
        (retryable(7), 1, 0.0, TryAgain(7.0)),
        (retryable(0), 1, 1.0, TryAgain(1.0)),
        (ProviderRejected("m", code="c"), 1, 0.0, GiveUp("")),
        (ProviderBroken("m", code="c"), 1, 0.0, GiveUp("")),
        (retryable(), 4, 0.0, GiveUp("4 of 4 attempts used")),
    ],
)
def test_a_failed_attempt_is_retried_with_backoff_or_given_up(error, attempt, jitter, expected):
    """Retryable errors wait longer each time, up to the last attempt; all other errors end the job."""
    assert decide(error, attempt, 4, 1e9, SETTINGS, jitter) == expected


@pytest.mark.parametrize("jitter", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("attempt", range(1, 40))
@pytest.mark.parametrize("retry_after", [None, 0, 3, 59])
def test_a_wait_is_never_below_retry_after_and_never_above_the_cap(attempt, jitter, retry_after):
    """Retry-After is a lower bound; our own backoff grows to the cap and not beyond."""
    decision = decide(retryable(retry_after), attempt, 50, 1e9, SETTINGS, jitter)

    assert decision.wait_seconds >= max(retry_after or 0, 0.5)
    assert decision.wait_seconds <= (retry_after or 0) + SETTINGS.backoff_cap_seconds


def test_a_retry_after_above_its_cap_ends_the_job():
    """A job must not wait an hour because a provider asks for it."""
    assert isinstance(decide(retryable(3_600), 1, 4, 1e9, SETTINGS, 0.0), GiveUp)


def test_no_retry_is_scheduled_after_the_deadline():
    """The job fails immediately instead of waiting for a retry that would start too late."""
    assert isinstance(decide(retryable(), 1, 4, 0.9, SETTINGS, 1.0), GiveUp)
    assert isinstance(decide(retryable(), 1, 4, 1.1, SETTINGS, 1.0), TryAgain)
