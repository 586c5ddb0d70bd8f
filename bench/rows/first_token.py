"""Time to the first token: what the queue and the relay add to a stream read directly from the provider."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from bench.figures import column, percentile
from bench.http import Connection, Event
from bench.plan import Plan
from bench.rounds import run_rounds
from bench.runner import Runner
from bench.systems import CHATQUEUE
from bench.table import Table

TITLE: Final = "Time to first token"
MESSAGE: Final = "[[offline tokens=10 interval=0.005]] Hello"
BODY: Final = json.dumps({"message": MESSAGE}).encode()
STREAM_BODY: Final = json.dumps({"message": MESSAGE, "stream": True}).encode()
WARM_UP: Final = 10
NOTES: Final = (
    "one stream after the other; added: compared with a direct stream from the provider in the same run",
    "the provider sends its first token immediately",
)
Follow: TypeAlias = Callable[[Connection], AsyncIterator[Event]]


@dataclass(frozen=True)
class FirstToken:
    p50_ms: float | None = column("p50 ms", has_ratio=True)
    p99_ms: float | None = column("p99 ms", has_ratio=True)
    added_p50_ms: float | None = column("added p50 ms")
    added_p99_ms: float | None = column("added p99 ms")


def table(plan: Plan) -> Table[FirstToken]:
    measurements: dict[str, Callable[[Plan], FirstToken]] = {
        "chatqueue, POST /chat/async with stream": partial(_measure, _post_stream),
        "chatqueue, POST /chat/async, then GET .../events": partial(_measure, _post_and_follow),
        "baseline: the SDK's stream from the provider": _measure_direct,
    }
    return run_rounds(TITLE, plan, measurements, NOTES)


def _measure(follow: Follow, plan: Plan) -> FirstToken:
    with Runner(plan, CHATQUEUE) as runner:
        runner.start_web()
        runner.start_workers()
        direct_latencies = _measure_sdk(runner)
        latencies = asyncio.run(_first_tokens(runner.web_port, follow, plan.round_trips))
    p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
    return FirstToken(p50, p99, p50 - percentile(direct_latencies, 0.5), p99 - percentile(direct_latencies, 0.99))


def _measure_direct(plan: Plan) -> FirstToken:
    with Runner(plan, CHATQUEUE) as runner:
        direct_latencies = _measure_sdk(runner)
    return FirstToken(percentile(direct_latencies, 0.5), percentile(direct_latencies, 0.99))


def _measure_sdk(runner: Runner) -> list[float]:
    result = runner.run_python("bench.baselines", "aiohttp", "stream", str(runner.plan.round_trips), "1", MESSAGE)
    return [seconds * 1000 for seconds in result["latencies"]]


async def _first_tokens(port: int, follow: Follow, count: int) -> list[float]:
    async with Connection(port) as connection:
        durations_ms = [await _first_token(follow(connection)) for _ in range(WARM_UP + count)]
    return durations_ms[WARM_UP:]


async def _first_token(events: AsyncIterator[Event]) -> float:
    """Milliseconds to the first delta. The stream is then read to its end: the system must be idle for the next."""
    started_at, first = time.perf_counter(), None
    async for event in events:
        if event.name == "delta" and first is None:
            first = time.perf_counter()
    if first is None:
        raise RuntimeError("a stream without a token")
    return (first - started_at) * 1000


def _post_stream(connection: Connection) -> AsyncIterator[Event]:
    return connection.events("POST", "/api/v1/chat/async", STREAM_BODY)


async def _post_and_follow(connection: Connection) -> AsyncIterator[Event]:
    reply = await connection.call("POST", "/api/v1/chat/async", BODY)
    async for event in connection.events("GET", f"/api/v1/chat/jobs/{reply.json(202)['job_id']}/events"):
        yield event
