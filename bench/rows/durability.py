"""What a safe acknowledgement costs: submits and calls with one replica of Redis, for each setting of durability."""

from dataclasses import dataclass
from typing import Final

from bench.figures import column
from bench.plan import Plan
from bench.rounds import for_systems, run_rounds
from bench.rows import calls, submit
from bench.systems import DURABILITIES, System
from bench.table import Table

TITLE: Final = "Safe acknowledgements"
NOTES: Final = (
    "requests/s and CPU us per request: submits over HTTP while no worker runs, see the table of submits",
    "calls/s and CPU ms per call: calls of one second with worker, web and Redis, see the table of calls",
    "Redis has one replica in every row and an append-only file that is synced once a second",
)


@dataclass(frozen=True)
class DurabilityResult:
    requests: float | None = column("requests/s", 0, has_ratio=True)
    web_us: float | None = column("web CPU us per request", 0, has_ratio=True)
    calls: float | None = column("calls/s", 0, has_ratio=True)
    call_ms: float | None = column("CPU ms per call", 2, has_ratio=True)


def table(plan: Plan) -> Table[DurabilityResult]:
    return run_rounds(TITLE, plan, for_systems(DURABILITIES, measure), NOTES)


def measure(system: System, plan: Plan) -> DurabilityResult:
    """Both measurements, each with its own servers."""
    submits, calls_result = submit.measure(system, plan), calls.measure(system, plan)
    return DurabilityResult(submits.rate, submits.web_us, calls_result.rate, calls_result.total_ms)
