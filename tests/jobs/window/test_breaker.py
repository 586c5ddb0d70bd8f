"""A provider that is away: few calls try it, no job fails, and all start soon after its return. In virtual time."""

import pytest

from jobs.storage import transitions
from tests.jobs.window.conftest import show
from tests.jobs.window.providers import Outage

pytestmark = pytest.mark.slow

MINUTES_AWAY = 10


def run_through_outage(simulate, queued, in_flight, **outage):
    """Jobs in flight and queued jobs when the provider goes away. Returns the simulation at its return."""
    provider = Outage(**outage)
    simulation = simulate(slots=in_flight, provider=provider, call_ms=(500, 2_000))
    provider.from_ms, provider.until_ms = simulation.time.now_ms, simulation.time.now_ms + MINUTES_AWAY * 60_000
    simulation.submit(in_flight + queued)
    simulation.run_for(MINUTES_AWAY * 60)
    return simulation


def test_an_outage_is_tried_by_few_calls_and_everything_starts_soon_after_it(simulate):
    """500 queued jobs and 50 in flight survive ten minutes."""
    simulation = run_through_outage(simulate, queued=500, in_flight=50)
    refused = simulation.provider.refused
    probes = [at for at in refused if at > refused[0] + 4_000]
    simulation.run_until(lambda: len(simulation.provider.admitted) >= 550, 120)
    started = max(simulation.provider.admitted[:550]) - simulation.provider.until_ms
    own_work = 550 / 50 * 1_250  # ms: 50 at a time, for 1.25 s each on average
    show(f"{len(refused)} calls while away, {len(probes)} of them probes; all started {started / 1000:.1f} s later")

    assert simulation.provider.admitted
    assert len(probes) <= 25
    assert len(refused) <= 75
    assert len(simulation.provider.admitted) == 550
    assert started <= 60_000 + own_work


def test_jobs_go_to_the_second_target_while_the_first_is_away(simulate):
    """Nothing waits: what fails at the first target is tried at the second at once."""
    simulation = simulate(slots=50, provider=Outage(until_ms=9e15))
    simulation.run(transitions.configure_targets({"m": ["main/m", "other/m"]}, {}))
    simulation.submit(550)
    simulation.run_until(lambda: len(simulation.finished) == 550, 120)
    began = simulation.starts[0].at_ms
    elsewhere = [start.at_ms for start in simulation.starts if start.target == "other/m"]

    assert len(simulation.finished) == 550
    assert elsewhere[0] - began <= 1_000
    assert len(simulation.provider.refused) <= 60


@pytest.mark.parametrize("end", ["cancelled", "failed"])
def test_a_probe_that_shows_nothing_is_followed_by_another(simulate, end):
    """The job that tries a target may be cancelled, or fail through a fault of its own. Others do not wait for it."""
    provider = Outage(until_ms=9e15)
    simulation = simulate(slots=4, provider=provider, call_ms=(200, 200))
    simulation.submit(5)
    simulation.run_until(lambda: len(provider.refused) >= 5, 60)
    provider.until_ms = 0
    probed = len(simulation.starts)
    simulation.run_until(lambda: len(simulation.starts) > probed, 60)
    probe = simulation.starts[-1].job_id
    if end == "cancelled":
        simulation.cancel([probe])
    else:
        simulation.fail(probe)
    began = simulation.time.now_ms
    simulation.run_until(lambda: len(simulation.finished) == 4, 60)

    assert simulation.time.now_ms - began <= 10_000
