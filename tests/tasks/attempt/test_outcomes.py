"""The translation of an exception into the outcome of an attempt."""

import asyncio

import pytest

from jobs.errors import AttemptCrashed, ProviderRejected, StoreUnavailable
from tasks.attempt.outcomes import Drained, Skipped, classify
from tasks.heartbeat import AttemptStopped, StopReason


def test_an_error_of_the_attempt_is_charged_to_the_job():
    """The retry policy receives the original error of the provider."""
    error = ProviderRejected("no")

    assert classify("j", error) is error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (AttemptStopped(StopReason.WORKER_STOPPING), Drained()),
        (AttemptStopped(StopReason.LEASE_LOST), Skipped("lease_lost")),
        (asyncio.CancelledError(), Drained()),
    ],
)
def test_a_stopped_attempt_is_not_a_failure_of_the_job(error, failure):
    """A deploy or a cancel must not use up one of the job's attempts."""
    assert classify("j", error) == failure


@pytest.mark.parametrize("error", [KeyError("canary"), SystemExit("canary"), StoreUnavailable("canary")])
def test_any_other_exception_is_a_crash_without_its_text(error, caplog):
    """An exception's text may quote the answer: neither the job's error nor the log contains it."""
    failure = classify("j", error)

    assert isinstance(failure, AttemptCrashed)
    assert type(error).__name__ in failure.message
    assert "canary" not in failure.message + caplog.text
