"""Limits of a provider: kept exactly, used fully, and learned with few refusals. Simulations in virtual time."""

import pytest

from jobs.storage import transitions
from tests.jobs.window.conftest import IS_LARGE
from tests.jobs.window.providers import FixedWindows, SlidingMinute, TokenBucket, most_in_any


def configure(simulation, **limits):
    simulation.run(transitions.configure_targets({}, {"main/m": limits}))


def utilisation(times_ms, limit, seconds):
    """Of the limit, after the first two minutes, in which a limit and its window fill."""
    counted = [time for time in times_ms if time >= times_ms[0] + 120_000]
    return len(counted) / (limit * (seconds - 120) / 60)


SECONDS = {1: 3600, 3: 1800, 10: 900, 60: 300, 500: 240, 3_000: 240, 10_000: 240}


@pytest.mark.parametrize("limit", [1, 3, 10, 60, 500, 3_000, 10_000] if IS_LARGE else [1, 3, 10, 60, 500])
def test_no_minute_has_more_calls_than_configured_and_the_limit_is_used(simulate, limit):
    """The limit holds at the provider, in every 60 s, with the delays between publish, claim and call."""
    seconds = SECONDS[limit]
    provider = SlidingMinute(limit=limit)
    simulation = simulate(slots=max(20, limit // 10), provider=provider)
    configure(simulation, requests_per_minute=limit)
    simulation.submit(limit * seconds // 60 + 40)
    simulation.run_for(seconds)

    calls = [start.at_ms for start in simulation.starts]
    print(f"limit {limit}: {most_in_any(calls, 60)} in a minute, used {utilisation(calls, limit, seconds):.3f}")
    assert most_in_any(calls, 60) <= limit
    assert provider.refused == []
    assert utilisation(calls, limit, seconds) >= 0.95


@pytest.mark.parametrize(
    ("provider", "most_refusals"),
    [(SlidingMinute(), 5), (TokenBucket(), 5), (FixedWindows(), 5), (SlidingMinute(retry_after=20), 7)],
    ids=["until the minute is over", "until one is refilled", "until the window ends", "always 20 s, too short"],
)
def test_a_limit_that_shows_itself_only_by_refusals_is_learned_from_a_few(simulate, provider, most_refusals):
    """300 jobs at 60 a minute take hardly longer than at a known limit, and none fails."""
    simulation = simulate(slots=40, provider=provider)
    simulation.submit(300)
    simulation.run_until(lambda: len(simulation.finished) == 300, 600)

    begin = simulation.starts[0].at_ms
    seconds = (simulation.time.now_ms - begin) / 1000
    print(
        f"refused after {[round((refused - begin) / 1000, 1) for refused in provider.refused]} s, done after {seconds} s"
    )
    assert len(simulation.finished) == 300
    assert seconds <= 315
    assert len(provider.refused) <= most_refusals
