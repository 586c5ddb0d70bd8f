"""From submit to result when nothing else runs: one job at a time, and a provider that answers at once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from bench.asking import time_each_async
from bench.figures import column, percentile
from bench.http import Connection
from bench.plan import Plan
from bench.rounds import in_turn, of_systems
from bench.runner import Arena
from bench.systems import ARQ, CELERY, CELERY_THREADS, CHATQUEUE, DRAMATIQ, RQ, RQ_POOL, TASKIQ, System
from bench.table import Table

TITLE: Final = "Submit to result at idle"
MESSAGE: Final = "[[offline tokens=20]] Hello"
NOTES: Final = (
    "over HTTP where it says so, otherwise in process, each with its own way to wait at its default",
    "all but the raw list make a call to the provider, which answers at once",
)
QUICK_POLL: Final = {"PEER_POLL_SECONDS": "0.005", "PEER_CONCURRENCY": "10"}
RECORDED: Final = "/api/v1/chat/jobs/{}?wait=30"

Ask: TypeAlias = Callable[[Connection, str], Awaitable[None]]


@dataclass(frozen=True)
class Latency:
    p50_ms: float | None = column("p50 ms", has_ratio=True)
    p99_ms: float | None = column("p99 ms", has_ratio=True)


def table(plan: Plan) -> Table[Latency]:
    quick = [replace(system, name=f"{system.name}, polls every 5 ms", env=QUICK_POLL) for system in (TASKIQ, ARQ)]
    systems = [CHATQUEUE, TASKIQ, ARQ, *quick, DRAMATIQ, CELERY_THREADS, CELERY, RQ_POOL, RQ]
    contenders: dict[str, Callable[[Plan], Latency]] = {
        "chatqueue, POST /chat/sync": partial(_over_http, _sync),
        "chatqueue, POST /chat/async and GET ?wait=": partial(_over_http, _submit_and_wait),
        **{f"{name}, in process": measure for name, measure in of_systems(systems, _in_process).items()},
        "floor: the call without a queue": partial(_without_workers, "bench.peers.no_queue"),
        "floor: a raw Redis list there and back": partial(_without_workers, "bench.peers.raw_redis"),
    }
    return in_turn(TITLE, plan, contenders, NOTES)


def _of(taken: Sequence[float]) -> Latency:
    return Latency(percentile(taken, 0.5), percentile(taken, 0.99))


def _in_process(system: System, plan: Plan) -> Latency:
    with Arena(plan, system) as arena:
        arena.start_workers()
        return _of(arena.run_python("bench.asking", system.tasks, str(plan.round_trips), MESSAGE))


def _without_workers(module: str, plan: Plan) -> Latency:
    with Arena(plan, CHATQUEUE) as arena:
        return _of(arena.run_python("bench.asking", module, str(plan.round_trips), MESSAGE))


def _over_http(ask: Ask, plan: Plan) -> Latency:
    with Arena(plan, CHATQUEUE) as arena:
        arena.start_web()
        arena.start_workers()
        return _of(asyncio.run(_time_requests(ask, arena.web_port, plan.round_trips)))


async def _time_requests(ask: Ask, port: int, count: int) -> list[float]:
    async with Connection(port) as connection:
        return await time_each_async(partial(ask, connection), count, MESSAGE)


async def _sync(connection: Connection, message: str) -> None:
    reply = await connection.call("POST", "/api/v1/chat/sync", json.dumps({"message": message}).encode())
    reply.json(200)


async def _submit_and_wait(connection: Connection, message: str) -> None:
    reply = await connection.call("POST", "/api/v1/chat/async", json.dumps({"message": message}).encode())
    reply = await connection.call("GET", RECORDED.format(reply.json(202)["job_id"]))
    reply.json(200)
