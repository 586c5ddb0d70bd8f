"""Bytes in Redis per job, while it waits and after it has ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bench.create_jobs import create_jobs
from bench.figures import column, ratio
from bench.plan import Plan
from bench.rounds import for_systems, run_rounds
from bench.runner import Runner
from bench.systems import ARQ, CELERY_THREADS, CHATQUEUE, DRAMATIQ, RQ_POOL, TASKIQ, THREADS, System
from bench.table import Table

TITLE: Final = "Bytes in Redis"
KILOBYTE: Final = 1_000
IN_FLIGHT: Final = 50
NOTES: Final = (
    "each job: 1 KB of text in, 1 KB out; growth of used_memory without client buffers, per job",
    "FastAPI + asyncio.Queue keeps waiting jobs in the memory of its web process",
    "x text: ratio to the bytes of the text, which is input and output after the end, and input before",
    "chatqueue's event log holds a second copy of the answer until CHATQUEUE_EVENTS_TTL_SECONDS after the end",
)


@dataclass(frozen=True)
class BytesResult:
    ended: float | None = column("bytes per ended job", 0, has_ratio=True)
    ended_of_text: float | None = column("x text", 2)
    with_log: float | None = column("with its event log", 0)
    waiting: float | None = column("bytes per waiting job", 0, has_ratio=True)
    waiting_of_text: float | None = column("x text", 2)


def table(plan: Plan) -> Table[BytesResult]:
    peers = [ARQ, TASKIQ, DRAMATIQ, CELERY_THREADS, RQ_POOL, THREADS]
    measurements: dict[str, Callable[[Plan], BytesResult]] = {
        **for_systems([CHATQUEUE], _measure),
        f"chatqueue, {plan.queued:,} waiting": partial(_measure_backlog, plan.queued),
        **for_systems(peers, _measure),
    }
    return run_rounds(TITLE, replace(plan, rounds=1), measurements, NOTES)


def _message() -> str:
    """A prompt of one kilobyte that makes the provider answer one kilobyte: the directive contains the answer."""
    return f'[[offline say="{"a" * KILOBYTE}"]]'


def _measure(system: System, plan: Plan) -> BytesResult:
    ended, with_log = _measure_ended(system, replace(plan, in_flight=IN_FLIGHT))
    waiting = None if system is THREADS else _measure_waiting(system, plan)
    size = len(_message())
    return BytesResult(ended, ended / (size + KILOBYTE), with_log, waiting, ratio(waiting, size))


def _measure_ended(system: System, plan: Plan) -> tuple[float, float | None]:
    """Bytes per job after its event log has expired, and before."""
    with Runner(plan, system) as runner:
        runner.start_web()
        runner.start_workers()
        runner.expire_logs(runner.warm_up())
        before = runner.stored_bytes()
        ids = runner.submit(plan.stored, _message()).ids
        runner.wait_until_done(ids)
        with_log = (runner.stored_bytes() - before) / plan.stored
        if system.log_key is None:
            return with_log, None
        runner.expire_logs(ids)
        return (runner.stored_bytes() - before) / plan.stored, with_log


def _measure_waiting(system: System, plan: Plan) -> float:
    with Runner(plan, system) as runner:
        runner.start_web()
        runner.submit(plan.connections, _message())
        before = runner.stored_bytes()
        runner.submit(plan.stored, _message())
        return (runner.stored_bytes() - before) / plan.stored


def _measure_backlog(count: int, plan: Plan) -> BytesResult:
    with Runner(plan, CHATQUEUE) as runner:
        create_jobs(runner.redis_url, 1)
        before = runner.stored_bytes()
        create_jobs(runner.redis_url, count, _message())
        waiting = (runner.stored_bytes() - before) / count
    return BytesResult(waiting=waiting, waiting_of_text=waiting / len(_message()))
