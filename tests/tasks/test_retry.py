"""The decision after a failed attempt: a table, no clock, no chance."""

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
def test_the_decision(error, attempt, jitter, expected):
    assert decide(error, attempt, 4, 1e9, SETTINGS, jitter) == expected


@pytest.mark.parametrize("jitter", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("attempt", range(1, 40))
@pytest.mark.parametrize("asked", [None, 0, 3, 59])
def test_never_sooner_than_asked_and_never_longer_than_the_cap(attempt, jitter, asked):
    """Retry-After is a floor; our own wait grows to the cap and not beyond."""
    decision = decide(retryable(asked), attempt, 50, 1e9, SETTINGS, jitter)

    assert decision.wait_seconds >= max(asked or 0, 0.5)
    assert decision.wait_seconds <= (asked or 0) + SETTINGS.backoff_cap_seconds


def test_a_retry_after_beyond_all_patience_ends_the_job():
    assert isinstance(decide(retryable(3_600), 1, 4, 1e9, SETTINGS, 0.0), GiveUp)


def test_no_retry_is_promised_beyond_the_deadline():
    assert isinstance(decide(retryable(), 1, 4, 0.9, SETTINGS, 1.0), GiveUp)
    assert isinstance(decide(retryable(), 1, 4, 1.1, SETTINGS, 1.0), TryAgain)
