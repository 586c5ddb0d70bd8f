"""What a job takes in Redis while it waits, and once it has ended."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bench.figures import column, ratio
from bench.filling import create_jobs
from bench.plan import Plan
from bench.rounds import in_turn, of_systems
from bench.runner import Arena
from bench.systems import ARQ, CELERY_THREADS, CHATQUEUE, DRAMATIQ, RQ_POOL, TASKIQ, THREADS, System
from bench.table import Table

TITLE: Final = "Bytes in Redis"
KILOBYTE: Final = 1_000
IN_FLIGHT: Final = 50
NOTES: Final = (
    "each job: 1 KB of text in, 1 KB out; used_memory of INFO less the buffers of clients, for each job more",
    "FastAPI + asyncio.Queue keeps what waits in the memory of its web process",
    "x text: times the bytes of the text itself, which is in and out once ended, and in while it waits",
    "chatqueue's event log is a second copy of the answer for CHATQUEUE_EVENTS_TTL_SECONDS after the end, then gone",
)


@dataclass(frozen=True)
class Bytes:
    ended: float | None = column("bytes an ended job", 0, has_ratio=True)
    ended_of_text: float | None = column("x text", 2)
    with_log: float | None = column("with its event log", 0)
    waiting: float | None = column("bytes a waiting job", 0, has_ratio=True)
    waiting_of_text: float | None = column("x text", 2)


def table(plan: Plan) -> Table[Bytes]:
    peers = [ARQ, TASKIQ, DRAMATIQ, CELERY_THREADS, RQ_POOL, THREADS]
    contenders: dict[str, Callable[[Plan], Bytes]] = {
        **of_systems([CHATQUEUE], _measure),
        f"chatqueue, {plan.queued:,} waiting": partial(_measure_backlog, plan.queued),
        **of_systems(peers, _measure),
    }
    return in_turn(TITLE, replace(plan, rounds=1), contenders, NOTES)


def _message() -> str:
    """A kilobyte that makes the provider answer another one: the answer stands in the directive."""
    return f'[[offline say="{"a" * KILOBYTE}"]]'


def _measure(system: System, plan: Plan) -> Bytes:
    ended, with_log = _measure_ended(system, replace(plan, in_flight=IN_FLIGHT))
    waiting = None if system is THREADS else _measure_waiting(system, plan)
    size = len(_message())
    return Bytes(ended, ended / (size + KILOBYTE), with_log, waiting, ratio(waiting, size))


def _measure_ended(system: System, plan: Plan) -> tuple[float, float | None]:
    """Bytes a job, and what it was as long as its event log was there."""
    with Arena(plan, system) as arena:
        arena.start_web()
        arena.start_workers()
        arena.expire_logs(arena.warm_up())
        before = arena.stored_bytes()
        ids = arena.submit(plan.stored, _message()).ids
        arena.wait_until_done(ids)
        with_log = (arena.stored_bytes() - before) / plan.stored
        if system.log_key is None:
            return with_log, None
        arena.expire_logs(ids)
        return (arena.stored_bytes() - before) / plan.stored, with_log


def _measure_waiting(system: System, plan: Plan) -> float:
    with Arena(plan, system) as arena:
        arena.start_web()
        arena.submit(plan.connections, _message())
        before = arena.stored_bytes()
        arena.submit(plan.stored, _message())
        return (arena.stored_bytes() - before) / plan.stored


def _measure_backlog(count: int, plan: Plan) -> Bytes:
    with Arena(plan, CHATQUEUE) as arena:
        create_jobs(arena.redis_url, 1)
        before = arena.stored_bytes()
        create_jobs(arena.redis_url, count, _message())
        waiting = (arena.stored_bytes() - before) / count
    return Bytes(waiting=waiting, waiting_of_text=waiting / len(_message()))
