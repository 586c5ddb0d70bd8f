"""Throughput and cost of calls of one second each, submitted over HTTP as fast as the web processes accept them."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.cpu_accounting import measure_usage
from bench.figures import column
from bench.plan import Plan
from bench.rounds import for_systems, run_rounds
from bench.runner import Runner
from bench.systems import CHATQUEUE, PEERS, TOKENS, VARIANTS, System
from bench.table import Table

TITLE: Final = "Calls of one second"
NOTES: Final = (
    "calls/s: from the first submit over HTTP to the last result in Redis; x: times the first row",
    "CPU: user and system time of each group of processes and their children; the client submits and waits",
    "MB: peak of the resident memory, summed over the worker processes",
    f"the provider answers {TOKENS} tokens after one second; chatqueue and the last baseline read them as a stream",
    "rows with fewer calls have fewer slots; the baselines have no queue, no web process and no record",
)
BASELINES: Final = {
    "baseline: asyncio + AsyncOpenAI": ("default", "create"),
    "baseline: the same over aiohttp": ("aiohttp", "create"),
    "baseline: the same, stream=True": ("aiohttp", "stream"),
}


@dataclass(frozen=True)
class CallsResult:
    calls: float | None = column("calls", 0)
    in_flight: float | None = column("in flight", 0)
    rate: float | None = column("calls/s", has_ratio=True)
    worker_ms: float | None = column("worker CPU ms per call", 2, has_ratio=True)
    web_ms: float | None = column("web", 2)
    redis_ms: float | None = column("Redis", 2)
    total_ms: float | None = column("these three", 2, has_ratio=True)
    provider_ms: float | None = column("provider", 2)
    client_ms: float | None = column("client", 2)
    peak_mb: float | None = column("MB", 0, has_ratio=True)


def table(plan: Plan) -> Table[CallsResult]:
    baselines = {name: partial(_measure_baseline, transport, kind) for name, (transport, kind) in BASELINES.items()}
    return run_rounds(TITLE, plan, for_systems([CHATQUEUE, *VARIANTS, *PEERS], measure) | baselines, NOTES)


def measure(system: System, plan: Plan) -> CallsResult:
    """Measure one system, after a warm-up."""
    with Runner(plan, system) as runner:
        runner.start_web()
        runner.start_workers()
        runner.warm_up()
        return _measure_calls(runner)


def _measure_calls(runner: Runner) -> CallsResult:
    system, count = runner.system, runner.system.calls(runner.plan)
    calls_before = runner.provider_calls()
    client, started_at = time.process_time(), time.perf_counter()
    with measure_usage(runner.groups) as usage:
        ids = runner.submit(count, system.message(1)).ids
        runner.wait_until_done(ids)
        seconds = time.perf_counter() - started_at
    client = time.process_time() - client
    if runner.provider_calls() - calls_before < count:
        raise RuntimeError("there are more results than calls")
    runner.check_answer(ids[-1])
    working_group = "workers" if system.workers else "web"
    return CallsResult(
        calls=count,
        in_flight=system.slots(runner.plan),
        rate=count / seconds,
        worker_ms=usage.cpu_ms(working_group, count),
        web_ms=usage.cpu_ms("web", count) if system.workers else None,
        redis_ms=usage.cpu_ms("redis", count),
        total_ms=sum(filter(None, (usage.cpu_ms(name, count) for name in ("workers", "web", "redis")))),
        provider_ms=usage.cpu_ms("provider", count),
        client_ms=client * 1000 / count,
        peak_mb=usage.peak_mb[working_group],
    )


def _measure_baseline(transport: str, kind: str, plan: Plan) -> CallsResult:
    with Runner(plan, CHATQUEUE) as runner, measure_usage({"provider": runner.groups["provider"]}) as usage:
        args = [str(plan.calls), str(plan.in_flight), CHATQUEUE.message(1)]
        result = runner.run_python("bench.baselines", transport, kind, *args)
    total_calls = plan.calls + plan.in_flight  # the provider's cost includes that of the warm-up
    return CallsResult(
        calls=plan.calls,
        in_flight=plan.in_flight,
        rate=plan.calls / result["seconds"],
        worker_ms=result["cpu_seconds"] * 1000 / plan.calls,
        provider_ms=usage.cpu_ms("provider", total_calls),
        peak_mb=result["peak_mb"],
    )
