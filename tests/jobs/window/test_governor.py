"""Limits of a provider: kept exactly, used fully, and learned with few refusals. Simulations in virtual time."""

import pytest

from jobs.storage import transitions
from tests.jobs.window.conftest import IS_LARGE, show
from tests.jobs.window.providers import FixedWindows, SlidingMinute, TokenBucket, UsedTokens, most_in_any
from tests.jobs.window.simulation import waiting

pytestmark = pytest.mark.slow


def configure(simulation, counting="reserved", **limits):
    simulation.run(transitions.configure_targets({}, {"main/m": limits}, {"main/m": counting}))


def utilisation(times_ms, limit, seconds):
    """Of the limit, after the first two minutes, in which a limit and its window fill."""
    counted = [time for time in times_ms if time >= times_ms[0] + 120_000]
    return len(counted) / (limit * (seconds - 120) / 60)


SECONDS = {1: 3600, 3: 1800, 10: 900, 60: 300, 500: 200, 3_000: 240, 10_000: 240}


@pytest.mark.parametrize("limit", [1, 3, 10, 60, 500, 3_000, 10_000] if IS_LARGE else [10, 60])
def test_no_minute_has_more_calls_than_configured_and_the_limit_is_used(simulate, limit):
    """The limit holds at the provider, in every 60 s, with the delays between publish, claim and call."""
    seconds = SECONDS[limit]
    provider = SlidingMinute(limit=limit)
    simulation = simulate(slots=max(20, limit // 10), provider=provider)
    configure(simulation, requests_per_minute=limit)
    simulation.submit(limit * seconds // 60 + 40)
    simulation.run_for(seconds)

    calls = [start.at_ms for start in simulation.starts]
    show(f"limit {limit}: {most_in_any(calls, 60)} in a minute, used {utilisation(calls, limit, seconds):.3f}")
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
    show(f"refused after {[round((at - begin) / 1000, 1) for at in provider.refused]} s, done after {seconds} s")
    assert len(simulation.finished) == 300
    assert seconds <= 315
    assert len(provider.refused) <= most_refusals


def test_a_caller_that_waits_for_each_answer_is_not_paced_at_a_new_target(simulate):
    """One call at a time meets at most one refusal. So each is published at once, however quick the answers are."""
    simulation = simulate(call_ms=(1, 5), claim_jitter_ms=(0, 0.5), call_jitter_ms=(0, 0.5))
    for number in range(1, 101):
        simulation.submit(1)
        assert waiting(simulation) == 0
        simulation.run_until(lambda done=number: len(simulation.finished) == done, 1)

    assert len(simulation.finished) == 100


def test_a_herd_behind_a_lone_caller_is_paced(simulate):
    """The calls that were not paced count all the same: there is no new burst after them."""
    simulation = simulate(slots=100, call_ms=(1, 2), claim_jitter_ms=(0, 0.5), call_jitter_ms=(0, 0.5))
    for number in range(1, 31):
        simulation.submit(1)
        simulation.run_until(lambda done=number: len(simulation.finished) == done, 1)
    simulation.submit(50)

    assert waiting(simulation) == 49


def test_reserved_tokens_are_kept_within_the_limit_and_used(simulate):
    """Where a provider counts what a request may use, no minute has more than the limit."""
    simulation = simulate(slots=60)
    configure(simulation, tokens_per_minute=60_000, counting="reserved")
    simulation.submit(400, input_tokens=200, max_output_tokens=800)
    simulation.run_for(300)
    calls = [start.at_ms for start in simulation.starts]

    assert most_in_any(calls, 60) * 1_000 <= 60_000
    assert utilisation(calls, 60, 300) >= 0.9


def test_used_tokens_are_given_back_and_used_by_others(simulate):
    """Where a provider counts what a call has used, the rest of the estimate is free again once the call has ended."""
    provider = UsedTokens(used=(300, 700))
    simulation = simulate(slots=60, provider=provider, call_ms=(2_000, 20_000))
    configure(simulation, tokens_per_minute=60_000, counting="used")
    simulation.submit(800, input_tokens=200, max_output_tokens=800)
    simulation.run_for(300)
    used = provider.most_in_any(60)
    late = sum(tokens for at, tokens in provider.used_at if at >= provider.used_at[0][0] + 120_000)
    show(f"used: {used} in a minute, {late / 180_000:.3f} of the limit")

    assert used <= 60_000
    assert late / 180_000 >= 0.9


def test_no_more_calls_run_at_once_than_configured(simulate):
    """And as many as that, while jobs wait."""
    simulation = simulate(slots=20)
    configure(simulation, concurrency=5)
    simulation.submit(200)
    running = []
    simulation.on_call = lambda: running.append(len(simulation.starts) - len(simulation.finished))
    simulation.run_until(lambda: len(simulation.finished) == 200, 300)

    assert max(running) == 5
    assert len(simulation.finished) == 200


@pytest.mark.parametrize(("before", "after"), [(60, 20), (20, 120)])
def test_a_limit_that_is_changed_holds_at_once(simulate, before, after):
    """A lower limit counts the calls of the last minute; a higher one opens the target without a wait."""
    simulation = simulate(slots=30)
    configure(simulation, requests_per_minute=before)
    simulation.submit(600)
    simulation.run_for(90)
    configure(simulation, requests_per_minute=after)
    changed = simulation.time.now_ms
    simulation.run_for(240)
    calls = [start.at_ms for start in simulation.starts if start.at_ms > changed]
    late = [at for at in calls if at > changed + 120_000]

    assert most_in_any(calls, 60) <= after
    assert len(late) >= 0.95 * after * 2
    assert calls[0] - changed < (3_000 if after > before else 60_000)


def test_two_applications_on_one_key_share_its_limit(simulate):
    """The calls of the other one show in the headers of the answers. Few calls are refused, and most of it is used."""
    provider = SlidingMinute(limit=60, states_limits=True)
    simulation = simulate(slots=20, provider=provider)
    configure(simulation, requests_per_minute=60)
    simulation.submit(400)
    other: list[float] = []

    def call_from_elsewhere():
        if provider.refusal("main/m", simulation.time.now_ms) is None:
            other.append(simulation.time.now_ms)
        simulation.after(3_000, call_from_elsewhere)

    call_from_elsewhere()
    simulation.run_for(300)
    show(f"{len(provider.refused)} of {len(simulation.starts)} refused, the other had {len(other)}")

    assert len(provider.refused) <= len(simulation.starts) * 0.05
    assert len(provider.admitted) + len(other) >= 60 * 5 * 0.9


def test_a_stated_limit_is_adopted(simulate):
    """Where none is configured, the headers of the first answers set the pace, and nothing is refused later."""
    provider = SlidingMinute(limit=60, states_limits=True)
    simulation = simulate(slots=20, provider=provider)
    simulation.submit(300)
    simulation.run_until(lambda: len(simulation.finished) == 300, 400)

    assert len(simulation.finished) == 300
    assert provider.refused == []


def test_a_job_larger_than_the_limit_is_claimed_and_holds_up_nobody(simulate):
    """Its claim fails it. The limit of tokens is not used up by it."""
    simulation = simulate(slots=20)
    configure(simulation, tokens_per_minute=10_000)
    simulation.submit(1, "too large", input_tokens=20_000, max_output_tokens=100)
    simulation.submit(10, input_tokens=400, max_output_tokens=100)
    simulation.run_until(lambda: len(simulation.finished) == 11, 30)

    assert simulation.too_large == [simulation.starts[0].job_id]
    assert len(simulation.finished) == 11


def test_a_provider_that_gives_no_time_to_wait_is_asked_less_and_less_often(simulate):
    """While it refuses all calls the waits between them double, and its limit is used afterwards."""
    provider = SlidingMinute(limit=60, is_silent=True)
    simulation = simulate(slots=40, provider=provider)
    simulation.submit(300)
    simulation.run_until(lambda: len(simulation.finished) == 300, 600)
    begin = simulation.starts[0].at_ms
    seconds = (simulation.time.now_ms - begin) / 1000
    show(f"refused after {[round((at - begin) / 1000, 1) for at in provider.refused]} s, done after {seconds} s")

    assert len(provider.refused) <= 15
    assert seconds <= 400


def test_limits_of_a_provider_hold_for_all_its_models(simulate):
    """Two models of one account share the account's limit."""
    provider = SlidingMinute(limit=60)
    simulation = simulate(slots=20, provider=provider)
    simulation.run(transitions.configure_targets({}, {"main": {"requests_per_minute": 60}}))
    for pool in ("m", "n"):
        simulation.submit(120, pool, pool=pool)
    simulation.run_for(200)
    names = simulation.names_started()

    assert provider.refused == []
    assert len(names) >= 180
    assert abs(names.count("m") - names.count("n")) <= 5
