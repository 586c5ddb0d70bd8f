"""A short run of the chaos suite: fewer jobs and faults, and a short lease. All targets apply.

`make chaos` runs the full suite.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.plan import Plan
from tests.chaos.run import FAULTS, run_fault
from tests.chaos.table import format_row

SHORT = Plan(lease_seconds=5, scale=0.15)
NAMES = (
    "kill",
    "popped",
    "sigterm_group",
    "sigterm_away",
    "sigquit",
    "redis_kill",
    "drops",
    "messages_lost",
    "poison",
    "web_kill",
    "previous_version",
    "newer_version",
    "kill_two_tenants",
)
AT_ONCE = 3  # rows mostly wait


@pytest.fixture(scope="module")
def results():
    """The result of each row, by the name of its fault. The rows run concurrently."""
    faults = [fault for fault in FAULTS if fault.name in NAMES]
    with ThreadPoolExecutor(AT_ONCE) as executor:
        ran = executor.map(lambda fault: run_fault(fault, SHORT), faults)
        return dict(zip([fault.name for fault in faults], ran, strict=True))


@pytest.mark.processes
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_lost_stuck_or_doubled(results, name):
    """After the fault every accepted job has exactly one outcome, and every slot runs a job again."""
    assert results[name].is_met, format_row(results[name])
