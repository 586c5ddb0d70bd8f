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
from bench.rounds import in_turn
from bench.runner import Arena
from bench.systems import CHATQUEUE
from bench.table import Table

TITLE: Final = "Time to first token"
MESSAGE: Final = "[[offline tokens=10 interval=0.005]] Hello"
BODY: Final = json.dumps({"message": MESSAGE}).encode()
STREAM_BODY: Final = json.dumps({"message": MESSAGE, "stream": True}).encode()
WARM_UP: Final = 10
NOTES: Final = (
    "one stream after the other; added: over a stream of the SDK read from the provider in the same arena",
    "the provider sends its first token at once",
)
Follow: TypeAlias = Callable[[Connection], AsyncIterator[Event]]


@dataclass(frozen=True)
class FirstToken:
    p50_ms: float | None = column("p50 ms", has_ratio=True)
    p99_ms: float | None = column("p99 ms", has_ratio=True)
    added_p50_ms: float | None = column("added p50 ms")
    added_p99_ms: float | None = column("added p99 ms")


def table(plan: Plan) -> Table[FirstToken]:
    contenders: dict[str, Callable[[Plan], FirstToken]] = {
        "chatqueue, POST /chat/async with stream": partial(_measure, _post_stream),
        "chatqueue, POST /chat/async, then GET .../events": partial(_measure, _post_and_follow),
        "floor: the SDK's stream from the provider": _measure_direct,
    }
    return in_turn(TITLE, plan, contenders, NOTES)


def _measure(follow: Follow, plan: Plan) -> FirstToken:
    with Arena(plan, CHATQUEUE) as arena:
        arena.start_web()
        arena.start_workers()
        direct = _direct(arena)
        ours = asyncio.run(_first_tokens(arena.web_port, follow, plan.round_trips))
    p50, p99 = percentile(ours, 0.5), percentile(ours, 0.99)
    return FirstToken(p50, p99, p50 - percentile(direct, 0.5), p99 - percentile(direct, 0.99))


def _measure_direct(plan: Plan) -> FirstToken:
    with Arena(plan, CHATQUEUE) as arena:
        direct = _direct(arena)
    return FirstToken(percentile(direct, 0.5), percentile(direct, 0.99))


def _direct(arena: Arena) -> list[float]:
    said = arena.run_python("bench.baselines", "aiohttp", "stream", str(arena.plan.round_trips), "1", MESSAGE)
    return [seconds * 1000 for seconds in said["each"]]


async def _first_tokens(port: int, follow: Follow, count: int) -> list[float]:
    async with Connection(port) as connection:
        taken = [await _first_token(follow(connection)) for _ in range(WARM_UP + count)]
    return taken[WARM_UP:]


async def _first_token(events: AsyncIterator[Event]) -> float:
    """Milliseconds to the first delta; the stream is read to its end, so that the next job finds the system idle."""
    began_at, first = time.perf_counter(), None
    async for event in events:
        if event.name == "delta" and first is None:
            first = time.perf_counter()
    if first is None:
        raise RuntimeError("a stream without a token")
    return (first - began_at) * 1000


def _post_stream(connection: Connection) -> AsyncIterator[Event]:
    return connection.events("POST", "/api/v1/chat/async", STREAM_BODY)


async def _post_and_follow(connection: Connection) -> AsyncIterator[Event]:
    reply = await connection.call("POST", "/api/v1/chat/async", BODY)
    async for event in connection.events("GET", f"/api/v1/chat/jobs/{reply.json(202)['job_id']}/events"):
        yield event
