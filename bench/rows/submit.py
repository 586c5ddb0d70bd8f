"""How fast jobs are accepted: the same small client against each web front, with nobody to do the jobs."""

import time
from dataclasses import dataclass
from typing import Final

from bench.cpu_accounting import billed
from bench.figures import column
from bench.load import submit_for
from bench.plan import Plan
from bench.rounds import in_turn, of_systems
from bench.runner import Arena
from bench.systems import ARQ, CELERY, CHATQUEUE, DRAMATIQ, RQ, TASKIQ, THREADS, System
from bench.table import Table

TITLE: Final = "Submitting over HTTP"
NOTES: Final = (
    "requests/s that are answered 202, over keep-alive connections; access logs are off, no worker runs",
    "CPU: microseconds a request of all web processes together, of Redis, and of the client itself",
    "the three threads of FastAPI + asyncio.Queue live in the web process and work meanwhile",
)
WARM_UP_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Submits:
    web_processes: float | None = column("web processes", 0)
    rate: float | None = column("requests/s", 0, has_ratio=True)
    web_us: float | None = column("web CPU us a request", 0, has_ratio=True)
    redis_us: float | None = column("Redis", 0)
    client_us: float | None = column("client", 0)
    web_mb: float | None = column("web MB", 0)


def table(plan: Plan) -> Table[Submits]:
    systems = [CHATQUEUE, ARQ, TASKIQ, DRAMATIQ, CELERY, RQ, THREADS]
    return in_turn(TITLE, plan, of_systems(systems, measure), NOTES)


def measure(system: System, plan: Plan) -> Submits:
    with Arena(plan, system) as arena:
        arena.start_web()
        way_in = arena.way_in(system.message(1))
        submit_for(way_in, WARM_UP_SECONDS, plan.connections)
        spent = time.process_time()
        with billed(arena.groups) as bill:
            answered = submit_for(way_in, plan.submit_seconds, plan.connections)
        spent = time.process_time() - spent
    thousands = len(answered.ids) / 1000  # so that milliseconds become microseconds
    return Submits(
        web_processes=system.web_processes,
        rate=answered.rate,
        web_us=bill.cpu_ms("web", thousands),
        redis_us=bill.cpu_ms("redis", thousands),
        client_us=spent * 1000 / thousands,
        web_mb=bill.peak_mb["web"],
    )
