"""Who starts next when more jobs wait than there are slots: simulations in virtual time, with figures asserted."""

from collections import Counter

import pytest

from jobs.storage import transitions
from jobs.tenant import Tenant
from tests.jobs.window.conftest import IS_LARGE

pytestmark = pytest.mark.slow

BACKLOG = 100_000 if IS_LARGE else 1_000
AHEAD = 1  # jobs published beyond the 10 free slots


@pytest.mark.parametrize("users", [1, 50])
def test_a_lone_job_starts_after_few_others_behind_a_backlog(simulate, users):
    """However many jobs another tenant has queued, and under however many fair keys."""
    simulation = simulate(slots=10)
    simulation.submit(BACKLOG, "a", tenant="a", fair_keys=[f"user-{i}" for i in range(users)])
    simulation.run_for(10)
    before = len(simulation.starts)
    simulation.submit(1, "b", tenant="b")
    simulation.run_until(lambda: "b" in simulation.names_started(), 60)

    assert simulation.names_started()[before:].index("b") <= AHEAD + 1


@pytest.mark.parametrize("tenants", [20, *([1_000] if IS_LARGE else [])])
def test_tenants_with_equal_backlogs_start_in_turn(simulate, tenants):
    """At every moment the most and the least starts of two tenants differ by one at most."""
    names = [f"t{i}" for i in range(tenants)]
    simulation = simulate(slots=1, claim_jitter_ms=(0, 0), call_jitter_ms=(0, 0))
    simulation.submit(3, "first")  # the slot is taken, so all others wait
    for name in names:
        simulation.submit(6, name, tenant=name)
    simulation.run_until(lambda: len(simulation.starts) == 3 + tenants * 5, 20 * tenants)

    starts = Counter(dict.fromkeys(names, 0))
    for name in simulation.names_started()[3:]:
        starts[name] += 1
        assert max(starts.values()) - min(starts.values()) <= 1


def test_starts_follow_the_weights(simulate):
    """A tenant with three times the weight starts three times as many jobs."""
    simulation = simulate(slots=4)
    simulation.run(transitions.set_tenant_weight(Tenant("a"), 3))
    for name in ("a", "b"):
        simulation.submit(400, name, tenant=name)
    simulation.run_until(lambda: len(simulation.starts) == 400, 1_000)

    starts = Counter(simulation.names_started()[20:])
    assert starts["a"] / starts["b"] == pytest.approx(3, rel=0.05)


def test_batch_jobs_keep_their_share_of_the_starts(simulate):
    """A tenth of the starts while interactive jobs wait, and all of them when none does."""
    simulation = simulate(slots=10)
    simulation.submit(20, "first")
    simulation.submit(400, "interactive")
    simulation.submit(200, "batch", lane="batch")
    simulation.run_until(lambda: len(simulation.starts) == 320, 1_000)
    shared = Counter(simulation.names_started()[20:])
    simulation.run_until(lambda: len(simulation.starts) == 620, 1_000)

    assert shared["batch"] / 300 == pytest.approx(0.1, abs=0.01)
    assert len(simulation.starts) == 620


def test_an_interactive_job_passes_a_backlog_of_batch_jobs(simulate):
    """It starts after at most as many jobs as have been published already, and one more."""
    simulation = simulate(slots=10)
    simulation.submit(3_000 if IS_LARGE else 500, "batch", lane="batch")
    simulation.run_for(20)
    before = len(simulation.starts)
    simulation.submit(1, "interactive")
    simulation.run_until(lambda: "interactive" in simulation.names_started(), 60)

    assert simulation.names_started()[before:].index("interactive") <= AHEAD + 1


def test_a_tenant_that_cancels_its_backlog_is_not_behind_afterwards(simulate):
    """Only starts count: a tenant that has cancelled many jobs starts its next ones in turn."""
    simulation = simulate(slots=2)
    cancelled = simulation.submit(BACKLOG // 2, "cancelled", tenant="a")
    simulation.submit(100, "b", tenant="b")
    simulation.run_for(20)
    simulation.cancel(cancelled)
    simulation.submit(50, "a", tenant="a")
    before = len(simulation.starts)
    simulation.run_until(lambda: len(simulation.starts) == before + 40, 200)

    starts = Counter(simulation.names_started()[before:])
    assert abs(starts["a"] - starts["b"]) <= 4


def test_a_tenant_that_had_nothing_to_do_gets_no_credit_for_it(simulate):
    """After a pause it starts as many jobs as the others, and not all that it did not start before."""
    simulation = simulate(slots=2)
    simulation.submit(300, "a", tenant="a")
    simulation.submit(3, "b", tenant="b")
    simulation.run_for(60)
    simulation.submit(100, "b", tenant="b")
    before = len(simulation.starts)
    simulation.run_until(lambda: len(simulation.starts) == before + 60, 200)

    starts = Counter(simulation.names_started()[before:])
    assert abs(starts["a"] - starts["b"]) <= 4


def test_a_closed_pool_stops_no_other(simulate):
    """Jobs of a model whose target is closed wait, and jobs of another model behind them start."""
    simulation = simulate(slots=2)
    simulation.run(transitions.note_fault("main/m", "rate_limited", 300))
    simulation.submit(50, "closed")
    simulation.submit(5, "open", pool="n")
    simulation.run_until(lambda: len(simulation.finished) == 5, 30)

    assert set(simulation.names_started()) == {"open"}


def test_many_models_share_a_pool_and_all_their_jobs_start(simulate, redis_client):
    """Callers may invent names of models: no more than 64 pools have lines of their own, and nothing is lost."""
    simulation = simulate(slots=2)
    simulation.submit(4, "first")
    for i in range(150):
        simulation.submit(1, "job", pool=f"invented-{i}")
    pools = redis_client.zcard("cq:pools:interactive")
    simulation.run_until(lambda: len(simulation.finished) == 154, 600)

    assert pools == 65
    assert {start.target for start in simulation.starts} == {"main/m", *(f"main/invented-{i}" for i in range(150))}
    assert redis_client.exists("cq:pools:interactive", "cq:queued:interactive", "cq:closed") == 0
