"""Who starts next when more jobs wait than there are slots: simulations in virtual time, with figures asserted."""

import pytest

from tests.jobs.window.conftest import IS_LARGE

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
