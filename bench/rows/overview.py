"""Statistics and bulk status, with a growing number of stored jobs."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import redis

from bench.create_jobs import create_jobs
from bench.figures import column, percentile
from bench.http import Connection
from bench.plan import Plan
from bench.rounds import run_rounds
from bench.runner import Runner
from bench.systems import CHATQUEUE, THREADS, System
from bench.table import Table

TITLE: Final = "Statistics, and the status of 1,000 jobs"
BULK_IDS: Final = 1_000
REQUESTS: Final = 50
MAX_SECONDS: Final = 20.0  # for the requests to one path: KEYS over a million keys takes long
PIPELINE: Final = 1_000
NOTES: Final = (
    "chatqueue: GET /queue/stats and GET /tasks?ids=...; the peer counts with KEYS and reads the keys one by one",
    "all records are of queued jobs, created as by a submit; MB is the total memory of Redis",
)
Fill = Callable[[Runner, int], list[str]]


@dataclass(frozen=True)
class OverviewResult:
    records: float | None = column("records", 0)
    stats_p50_ms: float | None = column("stats p50 ms", 2, has_ratio=True)
    stats_worst_ms: float | None = column("worst", 2)
    bulk_p50_ms: float | None = column("1,000 ids p50 ms", 1, has_ratio=True)
    bulk_worst_ms: float | None = column("worst", 1)
    redis_mb: float | None = column("Redis MB", 0)


def table(plan: Plan) -> Table[OverviewResult]:
    measurements: dict[str, Callable[[Plan], OverviewResult]] = {}
    for count in plan.records:
        measurements[f"chatqueue, {count:,}"] = partial(_measure_ours, count)
    for count in plan.records:
        measurements[f"KEYS-based, {count:,}"] = partial(_measure_peer, count)
    return run_rounds(TITLE, replace(plan, rounds=1), measurements, NOTES)


def _measure_ours(count: int, plan: Plan) -> OverviewResult:
    paths = ("/api/v1/queue/stats", "/api/v1/tasks?ids={}")
    return _measure(CHATQUEUE, paths, lambda runner, total: create_jobs(runner.redis_url, total), count, plan)


def _measure_peer(count: int, plan: Plan) -> OverviewResult:
    return _measure(THREADS, ("/stats", "/jobs?ids={}"), _fill_peer, count, plan)


def _measure(system: System, paths: tuple[str, str], fill: Fill, count: int, plan: Plan) -> OverviewResult:
    with Runner(plan, system) as runner:
        runner.start_web()
        ids = fill(runner, count)
        ids_param = ",".join(ids[:: max(1, count // BULK_IDS)][:BULK_IDS])
        stats = asyncio.run(_time_requests(runner.web_port, paths[0]))
        bulk = asyncio.run(_time_requests(runner.web_port, paths[1].format(ids_param)))
        used = runner.redis.info("memory")["used_memory"]
    return OverviewResult(count, percentile(stats, 0.5), max(stats), percentile(bulk, 0.5), max(bulk), used / 1e6)


async def _time_requests(port: int, path: str) -> list[float]:
    """Milliseconds of each request. The first one opens connections and is dropped unless it is the only one."""
    durations_ms: list[float] = []
    end = time.perf_counter() + MAX_SECONDS
    async with Connection(port) as connection:
        while len(durations_ms) <= REQUESTS and (not durations_ms or time.perf_counter() < end):
            started_at = time.perf_counter()
            reply = await connection.call("GET", path)
            durations_ms.append((time.perf_counter() - started_at) * 1000)
            reply.json(200)
    return durations_ms[1:] or durations_ms


def _fill_peer(runner: Runner, count: int) -> list[str]:
    client = redis.Redis.from_url(runner.redis_url)
    record = json.dumps({"status": "queued", "message": "Hello"})
    ids = [uuid.uuid4().hex for _ in range(count)]
    for start in range(0, count, PIPELINE):
        with client.pipeline(transaction=False) as pipeline:
            for job_id in ids[start : start + PIPELINE]:
                pipeline.set(f"job:{job_id}", record)
            pipeline.execute()
    client.close()
    return ids
