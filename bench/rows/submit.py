"""How fast each web front accepts jobs, measured by the same small client while no worker runs."""

import time
from dataclasses import dataclass
from typing import Final

from bench.cpu_accounting import measure_usage
from bench.figures import column
from bench.load import submit_for
from bench.plan import Plan
from bench.rounds import for_systems, run_rounds
from bench.runner import Runner
from bench.systems import ARQ, CELERY, CHATQUEUE, DRAMATIQ, RQ, TASKIQ, THREADS, System
from bench.table import Table

TITLE: Final = "Submitting over HTTP"
NOTES: Final = (
    "requests/s answered with 202, over keep-alive connections; access logs are off, no worker runs",
    "CPU: microseconds per request of all web processes, of Redis and of the client",
    "the three threads of FastAPI + asyncio.Queue run in the web process and work meanwhile",
)
WARM_UP_SECONDS: Final = 0.5


@dataclass(frozen=True)
class SubmitsResult:
    web_processes: float | None = column("web processes", 0)
    rate: float | None = column("requests/s", 0, has_ratio=True)
    web_us: float | None = column("web CPU us per request", 0, has_ratio=True)
    redis_us: float | None = column("Redis", 0)
    client_us: float | None = column("client", 0)
    web_mb: float | None = column("web MB", 0)


def table(plan: Plan) -> Table[SubmitsResult]:
    systems = [CHATQUEUE, ARQ, TASKIQ, DRAMATIQ, CELERY, RQ, THREADS]
    return run_rounds(TITLE, plan, for_systems(systems, measure), NOTES)


def measure(system: System, plan: Plan) -> SubmitsResult:
    """Measure one system, after a warm-up."""
    with Runner(plan, system) as runner:
        runner.start_web()
        submit_request = runner.submit_request(system.message(1))
        submit_for(submit_request, WARM_UP_SECONDS, plan.connections)
        client_seconds = time.process_time()
        with measure_usage(runner.groups) as usage:
            submitted = submit_for(submit_request, plan.submit_seconds, plan.connections)
        client_seconds = time.process_time() - client_seconds
    thousands = len(submitted.ids) / 1000  # so that milliseconds become microseconds
    return SubmitsResult(
        web_processes=system.web_processes,
        rate=submitted.rate,
        web_us=usage.cpu_ms("web", thousands),
        redis_us=usage.cpu_ms("redis", thousands),
        client_us=client_seconds * 1000 / thousands,
        web_mb=usage.peak_mb["web"],
    )
