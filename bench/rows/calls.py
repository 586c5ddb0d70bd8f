"""How many calls of a second each, and what one costs: submitted over HTTP as fast as the web takes them, then done."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.cpu_accounting import billed
from bench.figures import column
from bench.plan import Plan
from bench.rounds import in_turn, of_systems
from bench.runner import Arena
from bench.systems import CHATQUEUE, PEERS, TOKENS, VARIANTS, System
from bench.table import Table

TITLE: Final = "Calls of one second"
NOTES: Final = (
    "calls/s: from the first submit over HTTP to the last result in Redis; x: times the first row",
    "CPU: user and system time of each group of processes, those that they fork included; the client submits and waits",
    "MB: resident memory at its peak, summed over the worker processes",
    f"the provider answers {TOKENS} tokens after one second; chatqueue and the streaming floor read them as a stream",
    "rows with fewer calls have fewer slots; asyncio rows have no queue, no web and no record of anything",
)
FLOORS: Final = {
    "floor: asyncio + AsyncOpenAI": ("default", "create"),
    "floor: the same over aiohttp": ("aiohttp", "create"),
    "floor: the same, stream=True": ("aiohttp", "stream"),
}


@dataclass(frozen=True)
class Calls:
    calls: float | None = column("calls", 0)
    in_flight: float | None = column("in flight", 0)
    rate: float | None = column("calls/s", has_ratio=True)
    worker_ms: float | None = column("worker CPU ms a call", 2, has_ratio=True)
    web_ms: float | None = column("web", 2)
    redis_ms: float | None = column("Redis", 2)
    total_ms: float | None = column("these three", 2, has_ratio=True)
    provider_ms: float | None = column("provider", 2)
    client_ms: float | None = column("client", 2)
    peak_mb: float | None = column("MB", 0, has_ratio=True)


def table(plan: Plan) -> Table[Calls]:
    floors = {name: partial(_measure_floor, transport, kind) for name, (transport, kind) in FLOORS.items()}
    return in_turn(TITLE, plan, of_systems([CHATQUEUE, *VARIANTS, *PEERS], measure) | floors, NOTES)


def measure(system: System, plan: Plan) -> Calls:
    with Arena(plan, system) as arena:
        arena.start_web()
        arena.start_workers()
        arena.warm_up()
        return _measure_calls(arena)


def _measure_calls(arena: Arena) -> Calls:
    system, count = arena.system, arena.system.calls(arena.plan)
    made_before = arena.provider_calls()
    client, began_at = time.process_time(), time.perf_counter()
    with billed(arena.groups) as bill:
        ids = arena.submit(count, system.message(1)).ids
        arena.wait_until_done(ids)
        seconds = time.perf_counter() - began_at
    client = time.process_time() - client
    if arena.provider_calls() - made_before < count:
        raise RuntimeError("there are results without a call")
    arena.check_answer(ids[-1])
    at_work = "workers" if system.workers else "web"
    return Calls(
        calls=count,
        in_flight=system.slots(arena.plan),
        rate=count / seconds,
        worker_ms=bill.cpu_ms(at_work, count),
        web_ms=bill.cpu_ms("web", count) if system.workers else None,
        redis_ms=bill.cpu_ms("redis", count),
        total_ms=sum(filter(None, (bill.cpu_ms(name, count) for name in ("workers", "web", "redis")))),
        provider_ms=bill.cpu_ms("provider", count),
        client_ms=client * 1000 / count,
        peak_mb=bill.peak_mb[at_work],
    )


def _measure_floor(transport: str, kind: str, plan: Plan) -> Calls:
    with Arena(plan, CHATQUEUE) as arena, billed({"provider": arena.groups["provider"]}) as bill:
        asked = [str(plan.calls), str(plan.in_flight), CHATQUEUE.message(1)]
        said = arena.run_python("bench.baselines", transport, kind, *asked)
    made = plan.calls + plan.in_flight  # the provider's cost includes that of the warm-up
    return Calls(
        calls=plan.calls,
        in_flight=plan.in_flight,
        rate=plan.calls / said["seconds"],
        worker_ms=said["cpu_seconds"] * 1000 / plan.calls,
        provider_ms=bill.cpu_ms("provider", made),
        peak_mb=said["peak_mb"],
    )
