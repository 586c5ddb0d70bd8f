"""Time from submit to result on an idle system: one job at a time, with a provider that answers immediately."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeAlias

from bench.call_timing import time_each_async
from bench.figures import column, percentile
from bench.http import Connection
from bench.plan import Plan
from bench.rounds import for_systems, run_rounds
from bench.runner import Runner
from bench.systems import ARQ, CELERY, CELERY_THREADS, CHATQUEUE, DRAMATIQ, RQ, RQ_POOL, TASKIQ, System
from bench.table import Table

TITLE: Final = "Submit to result at idle"
MESSAGE: Final = "[[offline tokens=20]] Hello"
NOTES: Final = (
    "over HTTP where the row names a call, otherwise in process; each system waits in its default way",
    "every row except the raw list calls the provider, which answers immediately",
)
QUICK_POLL: Final = {"PEER_POLL_SECONDS": "0.005", "PEER_CONCURRENCY": "10"}
STATUS_PATH: Final = "/api/v1/chat/jobs/{}?wait=30"

Ask: TypeAlias = Callable[[Connection, str], Awaitable[None]]


@dataclass(frozen=True)
class Latency:
    p50_ms: float | None = column("p50 ms", has_ratio=True)
    p99_ms: float | None = column("p99 ms", has_ratio=True)


def table(plan: Plan) -> Table[Latency]:
    quick = [replace(system, name=f"{system.name}, polls every 5 ms", env=QUICK_POLL) for system in (TASKIQ, ARQ)]
    systems = [CHATQUEUE, TASKIQ, ARQ, *quick, DRAMATIQ, CELERY_THREADS, CELERY, RQ_POOL, RQ]
    measurements: dict[str, Callable[[Plan], Latency]] = {
        "chatqueue, POST /chat/sync": partial(_over_http, _ask_sync),
        "chatqueue, POST /chat/async and GET ?wait=": partial(_over_http, _submit_and_wait),
        **{f"{name}, in process": measure for name, measure in for_systems(systems, _in_process).items()},
        "baseline: the call without a queue": partial(_without_workers, "bench.peers.no_queue"),
        "baseline: a raw Redis list there and back": partial(_without_workers, "bench.peers.raw_redis"),
    }
    return run_rounds(TITLE, plan, measurements, NOTES)


def _percentiles(durations_ms: Sequence[float]) -> Latency:
    return Latency(percentile(durations_ms, 0.5), percentile(durations_ms, 0.99))


def _in_process(system: System, plan: Plan) -> Latency:
    with Runner(plan, system) as runner:
        runner.start_workers()
        return _percentiles(runner.run_python("bench.call_timing", system.tasks, str(plan.round_trips), MESSAGE))


def _without_workers(module: str, plan: Plan) -> Latency:
    with Runner(plan, CHATQUEUE) as runner:
        return _percentiles(runner.run_python("bench.call_timing", module, str(plan.round_trips), MESSAGE))


def _over_http(ask: Ask, plan: Plan) -> Latency:
    with Runner(plan, CHATQUEUE) as runner:
        runner.start_web()
        runner.start_workers()
        return _percentiles(asyncio.run(_time_requests(ask, runner.web_port, plan.round_trips)))


async def _time_requests(ask: Ask, port: int, count: int) -> list[float]:
    async with Connection(port) as connection:
        return await time_each_async(partial(ask, connection), count, MESSAGE)


async def _ask_sync(connection: Connection, message: str) -> None:
    reply = await connection.call("POST", "/api/v1/chat/sync", json.dumps({"message": message}).encode())
    reply.json(200)


async def _submit_and_wait(connection: Connection, message: str) -> None:
    reply = await connection.call("POST", "/api/v1/chat/async", json.dumps({"message": message}).encode())
    reply = await connection.call("GET", STATUS_PATH.format(reply.json(202)["job_id"]))
    reply.json(200)
