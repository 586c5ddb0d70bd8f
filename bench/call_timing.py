"""``python -m bench.call_timing MODULE COUNT MESSAGE``: times sequential calls of the module's ``ask``; ms, as JSON."""

import asyncio
import importlib
import inspect
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

RESULT = "result: "  # marks the JSON line: libraries print other lines
WARM_UP = 40  # calls; more than any system has processes, so that every process has loaded its modules
MAX_SECONDS = 20.0  # for the warm-up, and again for the measurement: `rq worker` takes half a second per job


def time_each(ask: Callable[[str], Any], count: int, message: str) -> list[float]:
    """Milliseconds of each call; fewer calls than `count` when they take longer than MAX_SECONDS."""

    async def ask_blocking(message: str) -> None:
        ask(message)

    is_async = inspect.iscoroutinefunction(ask)
    return asyncio.run(time_each_async(ask if is_async else ask_blocking, count, message))


async def time_each_async(ask: Callable[[str], Awaitable[Any]], count: int, message: str) -> list[float]:
    """Like `time_each`, for a coroutine function."""
    await _time(ask, WARM_UP, message)
    return await _time(ask, count, message)


async def _time(ask: Callable[[str], Awaitable[Any]], count: int, message: str) -> list[float]:
    durations_ms: list[float] = []
    end = time.perf_counter() + MAX_SECONDS
    while len(durations_ms) < count and time.perf_counter() < end:
        started_at = time.perf_counter()
        await ask(message)
        durations_ms.append((time.perf_counter() - started_at) * 1000)
    return durations_ms


if __name__ == "__main__":
    module, count, message = sys.argv[1:]
    print(RESULT + json.dumps(time_each(importlib.import_module(module).ask, int(count), message)))  # noqa: T201
