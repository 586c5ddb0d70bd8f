"""The baseline: calls to the provider without a queue.

``python -m bench.baselines default|aiohttp create|stream COUNT IN_FLIGHT MESSAGE`` prints the measurements as JSON.
"""

import asyncio
import json
import resource
import sys
import time
from typing import Any

import httpx2
from openai import AsyncOpenAI, DefaultAioHttpClient

from bench.call_timing import RESULT


def make_client(transport: str, in_flight: int) -> AsyncOpenAI:
    """An SDK client over its default transport, or over aiohttp with a connection for each call."""
    if transport == "default":
        return AsyncOpenAI()
    limits = httpx2.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    return AsyncOpenAI(http_client=DefaultAioHttpClient(limits=limits))


async def call(client: AsyncOpenAI, message: str, *, is_stream: bool) -> float:
    """Seconds to the first token of a stream, or to the answer."""
    started_at = time.perf_counter()
    first: float | None = None
    parameters: Any = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": message}], "stream": is_stream}
    reply = await client.chat.completions.create(**parameters)
    if is_stream:
        async for chunk in reply:
            if first is None and chunk.choices and chunk.choices[0].delta.content:
                first = time.perf_counter() - started_at
    return first or time.perf_counter() - started_at


async def measure(transport: str, kind: str, count: int, in_flight: int, message: str) -> dict[str, Any]:
    """Make `count` calls, `in_flight` concurrently. Returns seconds, CPU seconds, peak MB and the latencies."""
    async with make_client(transport, in_flight) as client:
        is_stream = kind == "stream"
        slots = asyncio.Semaphore(in_flight)

        async def call_once() -> float:
            async with slots:
                return await call(client, message, is_stream=is_stream)

        await asyncio.gather(*(call_once() for _ in range(in_flight)))  # opens every connection
        cpu_before, started_at = time.process_time(), time.perf_counter()
        latencies = await asyncio.gather(*(call_once() for _ in range(count)))
        return {
            "seconds": time.perf_counter() - started_at,
            "cpu_seconds": time.process_time() - cpu_before,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
            "latencies": latencies,
        }


if __name__ == "__main__":
    transport, kind, count, in_flight, message = sys.argv[1:]
    print(RESULT + json.dumps(asyncio.run(measure(transport, kind, int(count), int(in_flight), message))))  # noqa: T201
