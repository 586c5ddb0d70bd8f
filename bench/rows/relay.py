"""The cost of relaying a token as a server-sent event, and of readers that wait for one."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bench.cpu_accounting import measure_usage, resident_mb
from bench.figures import column
from bench.http import Connection, Event
from bench.load import SubmitRequest, submit_until
from bench.plan import Plan
from bench.rounds import run_rounds
from bench.runner import Runner
from bench.systems import CHATQUEUE
from bench.table import Table

TOKENS_A_SECOND: Final = 50
WARM_UP_SECONDS: Final = 0.5
ONE_WEB_PROCESS: Final = replace(CHATQUEUE, web_processes=1)


@dataclass(frozen=True)
class RelayResult:
    readers: float | None = column("readers", 0)
    jobs: float | None = column("jobs", 0)
    tokens_rate: float | None = column("tokens/s", 0)
    events_rate: float | None = column("events/s", 0)
    web_us: float | None = column("web CPU us per token", 0, has_ratio=True)
    web_event_us: float | None = column("per event", 0, has_ratio=True)
    worker_us: float | None = column("worker us per token", 0)
    redis_us: float | None = column("Redis us per token", 0)
    client_us: float | None = column("client us per token", 0)


@dataclass(frozen=True)
class IdleResult:
    web_mb: float | None = column("web MB", 0, has_ratio=True)
    redis_connections: float | None = column("connections to Redis", 0)
    rate: float | None = column("submits/s meanwhile", 0, has_ratio=True)
    web_us: float | None = column("web CPU us per submit", 0, has_ratio=True)


def table(plan: Plan) -> Table[RelayResult]:
    measurements = {
        "chatqueue, each reader its own job": partial(_measure, plan.streams),
        "chatqueue, all readers the same job": partial(_measure, 1),
    }
    notes = (
        f"each job: {plan.stream_tokens} tokens, {TOKENS_A_SECOND} per second; an event has all tokens of a log write",
        "a token counts once per reader that receives it; two web processes",
    )
    return run_rounds("Tokens relayed as server-sent events", plan, measurements, notes)


def idle_table(plan: Plan) -> Table[IdleResult]:
    measurements = {
        "chatqueue, no reader": partial(_measure_idle, 0),
        f"chatqueue, {plan.idle_readers:,} idle readers": partial(_measure_idle, plan.idle_readers),
    }
    return run_rounds(
        "Idle readers", plan, measurements, ("one web process; each reader follows a queued job of its own",)
    )


def _message(plan: Plan) -> str:
    """A prompt whose answer starts after a second, when all readers are connected."""
    return f"[[offline delay=1 tokens={plan.stream_tokens} interval={1 / TOKENS_A_SECOND}]] Hello"


def _measure(jobs: int, plan: Plan) -> RelayResult:
    with Runner(plan, CHATQUEUE) as runner:
        runner.start_web()
        runner.start_workers()
        runner.warm_up()
        ids = runner.submit(jobs, _message(plan)).ids
        followed = (ids * plan.streams)[: plan.streams]
        client_seconds, started_at = time.process_time(), time.perf_counter()
        with measure_usage(runner.groups) as usage:
            counts = asyncio.run(_follow_all(runner.web_port, followed))
        seconds, client_seconds = time.perf_counter() - started_at, time.process_time() - client_seconds
    events, tokens = sum(count[0] for count in counts), sum(count[1] for count in counts)
    if tokens != plan.stream_tokens * plan.streams:
        raise RuntimeError(f"{tokens} tokens arrived of {plan.stream_tokens * plan.streams}")
    return RelayResult(
        readers=plan.streams,
        jobs=jobs,
        tokens_rate=tokens / seconds,
        events_rate=events / seconds,
        web_us=usage.cpu_ms("web", tokens / 1000),
        web_event_us=usage.cpu_ms("web", events / 1000),
        worker_us=usage.cpu_ms("workers", tokens / 1000),
        redis_us=usage.cpu_ms("redis", tokens / 1000),
        client_us=client_seconds * 1e6 / tokens,
    )


async def _follow_all(port: int, ids: list[str]) -> list[tuple[int, int]]:
    return await asyncio.gather(*(_count(port, job_id) for job_id in ids))


async def _count(port: int, job_id: str) -> tuple[int, int]:
    """The number of deltas, and of the tokens in them."""
    async with Connection(port) as connection:
        events = tokens = 0
        async for event in _events(connection, job_id):
            if event.name == "delta":
                events += 1
                tokens += len(json.loads(event.data)["text"].split())
    return events, tokens


def _events(connection: Connection, job_id: str) -> AsyncIterator[Event]:
    return connection.events("GET", f"/api/v1/chat/jobs/{job_id}/events")


def _measure_idle(readers: int, plan: Plan) -> IdleResult:
    with Runner(plan, ONE_WEB_PROCESS) as runner:
        runner.start_web()
        return asyncio.run(_submit_with_readers(runner, readers))


async def _submit_with_readers(runner: Runner, readers: int) -> IdleResult:
    submit_request = runner.submit_request(_message(runner.plan))
    idle_connections = [Connection(runner.web_port) for _ in range(readers)]
    try:
        await submit_until(submit_request, time.perf_counter() + WARM_UP_SECONDS, runner.plan.connections)
        await _open_all(idle_connections, submit_request, runner.plan.connections)
        megabytes, connections = resident_mb(runner.groups["web"]), runner.redis.info("clients")["connected_clients"]
        with measure_usage(runner.groups) as usage:
            end = time.perf_counter() + runner.plan.submit_seconds
            submitted = await submit_until(submit_request, end, runner.plan.connections)
    finally:
        await asyncio.gather(*(connection.close() for connection in idle_connections))
    return IdleResult(megabytes, connections, submitted.rate, usage.cpu_ms("web", len(submitted.ids) / 1000))


async def _open_all(idle_connections: list[Connection], submit_request: SubmitRequest, max_concurrent: int) -> None:
    """Each connection follows its own new job up to the first event, which reports that the job is queued."""
    semaphore = asyncio.Semaphore(max_concurrent)

    async def open_one(connection: Connection) -> None:
        async with semaphore:
            reply = await connection.call("POST", submit_request.path, submit_request.body)
            await anext(_events(connection, reply.json(202)["job_id"]))

    await asyncio.gather(*map(open_one, idle_connections))
