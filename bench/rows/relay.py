"""Streams through the web: what a token costs on its way, and what readers cost that wait for one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bench.cpu_accounting import billed, resident_mb
from bench.figures import column
from bench.http import Connection, Event
from bench.load import Submit, submit_until
from bench.plan import Plan
from bench.rounds import in_turn
from bench.runner import Arena
from bench.systems import CHATQUEUE
from bench.table import Table

TOKENS_A_SECOND: Final = 50
WARM_UP_SECONDS: Final = 0.5
ONE_WEB_PROCESS: Final = replace(CHATQUEUE, web_processes=1)


@dataclass(frozen=True)
class Relayed:
    readers: float | None = column("readers", 0)
    jobs: float | None = column("jobs", 0)
    tokens_rate: float | None = column("tokens/s", 0)
    events_rate: float | None = column("events/s", 0)
    web_us: float | None = column("web CPU us a token", 0, has_ratio=True)
    web_event_us: float | None = column("an event", 0, has_ratio=True)
    worker_us: float | None = column("worker us a token", 0)
    redis_us: float | None = column("Redis us a token", 0)
    client_us: float | None = column("client us a token", 0)


@dataclass(frozen=True)
class Idle:
    web_mb: float | None = column("web MB", 0, has_ratio=True)
    redis_connections: float | None = column("connections to Redis", 0)
    rate: float | None = column("submits/s meanwhile", 0, has_ratio=True)
    web_us: float | None = column("web CPU us a submit", 0, has_ratio=True)


def table(plan: Plan) -> Table[Relayed]:
    contenders = {
        "chatqueue, each reader its own job": partial(_measure, plan.streams),
        "chatqueue, all readers the same job": partial(_measure, 1),
    }
    notes = (
        f"each job: {plan.stream_tokens} tokens, {TOKENS_A_SECOND} a second; an event is what was logged together",
        "a token counts once for each reader that gets it; two web processes",
    )
    return in_turn("Tokens relayed as server-sent events", plan, contenders, notes)


def idle_table(plan: Plan) -> Table[Idle]:
    contenders = {
        "chatqueue, no reader": partial(_measure_idle, 0),
        f"chatqueue, {plan.idle_readers:,} idle readers": partial(_measure_idle, plan.idle_readers),
    }
    return in_turn(
        "Readers that wait", plan, contenders, ("one web process; each reader follows a queued job of its own",)
    )


def _message(plan: Plan) -> str:
    """Begins after a second, when all readers are there."""
    return f"[[offline delay=1 tokens={plan.stream_tokens} interval={1 / TOKENS_A_SECOND}]] Hello"


def _measure(jobs: int, plan: Plan) -> Relayed:
    with Arena(plan, CHATQUEUE) as arena:
        arena.start_web()
        arena.start_workers()
        arena.warm_up()
        ids = arena.submit(jobs, _message(plan)).ids
        followed = (ids * plan.streams)[: plan.streams]
        spent, began_at = time.process_time(), time.perf_counter()
        with billed(arena.groups) as bill:
            counted = asyncio.run(_follow_all(arena.web_port, followed))
        seconds, spent = time.perf_counter() - began_at, time.process_time() - spent
    events, tokens = sum(each[0] for each in counted), sum(each[1] for each in counted)
    if tokens != plan.stream_tokens * plan.streams:
        raise RuntimeError(f"{tokens} tokens arrived of {plan.stream_tokens * plan.streams}")
    return Relayed(
        readers=plan.streams,
        jobs=jobs,
        tokens_rate=tokens / seconds,
        events_rate=events / seconds,
        web_us=bill.cpu_ms("web", tokens / 1000),
        web_event_us=bill.cpu_ms("web", events / 1000),
        worker_us=bill.cpu_ms("workers", tokens / 1000),
        redis_us=bill.cpu_ms("redis", tokens / 1000),
        client_us=spent * 1e6 / tokens,
    )


async def _follow_all(port: int, ids: list[str]) -> list[tuple[int, int]]:
    return await asyncio.gather(*(_count(port, job_id) for job_id in ids))


async def _count(port: int, job_id: str) -> tuple[int, int]:
    """Deltas, and the tokens in them."""
    async with Connection(port) as connection:
        events = tokens = 0
        async for event in _events(connection, job_id):
            if event.name == "delta":
                events += 1
                tokens += len(json.loads(event.data)["text"].split())
    return events, tokens


def _events(connection: Connection, job_id: str) -> AsyncIterator[Event]:
    return connection.events("GET", f"/api/v1/chat/jobs/{job_id}/events")


def _measure_idle(readers: int, plan: Plan) -> Idle:
    with Arena(plan, ONE_WEB_PROCESS) as arena:
        arena.start_web()
        return asyncio.run(_submit_beside(arena, readers))


async def _submit_beside(arena: Arena, readers: int) -> Idle:
    way_in = arena.way_in(_message(arena.plan))
    waiting = [Connection(arena.web_port) for _ in range(readers)]
    try:
        await submit_until(way_in, time.perf_counter() + WARM_UP_SECONDS, arena.plan.connections)
        await _open_all(waiting, way_in, arena.plan.connections)
        megabytes, connections = resident_mb(arena.groups["web"]), arena.redis.info("clients")["connected_clients"]
        with billed(arena.groups) as bill:
            end = time.perf_counter() + arena.plan.submit_seconds
            answered = await submit_until(way_in, end, arena.plan.connections)
    finally:
        await asyncio.gather(*(connection.close() for connection in waiting))
    return Idle(megabytes, connections, answered.rate, bill.cpu_ms("web", len(answered.ids) / 1000))


async def _open_all(waiting: list[Connection], way_in: Submit, at_once: int) -> None:
    """Each follows a new job until it is told to wait, and no further."""
    places = asyncio.Semaphore(at_once)

    async def open_one(connection: Connection) -> None:
        async with places:
            reply = await connection.call("POST", way_in.path, way_in.body)
            await anext(_events(connection, reply.json(202)["job_id"]))

    await asyncio.gather(*map(open_one, waiting))
