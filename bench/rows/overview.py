"""Statistics and bulk status while more and more jobs are on record."""

import asyncio
import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import redis

from bench.figures import column, percentile
from bench.filling import create_jobs
from bench.http import Connection
from bench.plan import Plan
from bench.rounds import in_turn
from bench.runner import Arena
from bench.systems import CHATQUEUE, THREADS, System
from bench.table import Table

TITLE: Final = "Statistics, and the status of 1,000 jobs"
ASKED: Final = 1_000
LOOKS: Final = 50
MOST_SECONDS: Final = 20.0  # for the looks at one path: KEYS over a million keys takes longer than fifty are worth
PIPELINE: Final = 1_000
NOTES: Final = (
    "chatqueue: GET /queue/stats and GET /tasks?ids=...; the peer counts with KEYS and reads one key after the other",
    "all records are of queued jobs, made by the store's own verb; the MB are all that Redis uses",
)
Fill = Callable[[Arena, int], list[str]]


@dataclass(frozen=True)
class Looks:
    records: float | None = column("records", 0)
    stats_p50_ms: float | None = column("stats p50 ms", 2, has_ratio=True)
    stats_worst_ms: float | None = column("worst", 2)
    bulk_p50_ms: float | None = column("1,000 ids p50 ms", 1, has_ratio=True)
    bulk_worst_ms: float | None = column("worst", 1)
    redis_mb: float | None = column("Redis MB", 0)


def table(plan: Plan) -> Table[Looks]:
    contenders: dict[str, Callable[[Plan], Looks]] = {}
    for count in plan.records:
        contenders[f"chatqueue, {count:,}"] = partial(_measure_ours, count)
    for count in plan.records:
        contenders[f"KEYS-based, {count:,}"] = partial(_measure_peer, count)
    return in_turn(TITLE, replace(plan, rounds=1), contenders, NOTES)


def _measure_ours(count: int, plan: Plan) -> Looks:
    paths = ("/api/v1/queue/stats", "/api/v1/tasks?ids={}")
    return _measure(CHATQUEUE, paths, lambda arena, wanted: create_jobs(arena.redis_url, wanted), count, plan)


def _measure_peer(count: int, plan: Plan) -> Looks:
    return _measure(THREADS, ("/stats", "/jobs?ids={}"), _fill_peer, count, plan)


def _measure(system: System, paths: tuple[str, str], fill: Fill, count: int, plan: Plan) -> Looks:
    with Arena(plan, system) as arena:
        arena.start_web()
        ids = fill(arena, count)
        asked = ",".join(ids[:: max(1, count // ASKED)][:ASKED])
        stats = asyncio.run(_look(arena.web_port, paths[0]))
        bulk = asyncio.run(_look(arena.web_port, paths[1].format(asked)))
        used = arena.redis.info("memory")["used_memory"]
    return Looks(count, percentile(stats, 0.5), max(stats), percentile(bulk, 0.5), max(bulk), used / 1e6)


async def _look(port: int, path: str) -> list[float]:
    """Milliseconds of each look; the first one, which opens connections, does not count unless it is the only one."""
    taken: list[float] = []
    end = time.perf_counter() + MOST_SECONDS
    async with Connection(port) as connection:
        while len(taken) <= LOOKS and (not taken or time.perf_counter() < end):
            began_at = time.perf_counter()
            reply = await connection.call("GET", path)
            taken.append((time.perf_counter() - began_at) * 1000)
            reply.json(200)
    return taken[1:] or taken


def _fill_peer(arena: Arena, count: int) -> list[str]:
    client = redis.Redis.from_url(arena.redis_url)
    record = json.dumps({"status": "queued", "message": "Hello"})
    ids = [uuid.uuid4().hex for _ in range(count)]
    for start in range(0, count, PIPELINE):
        with client.pipeline(transaction=False) as pipeline:
            for job_id in ids[start : start + PIPELINE]:
                pipeline.set(f"job:{job_id}", record)
            pipeline.execute()
    client.close()
    return ids
