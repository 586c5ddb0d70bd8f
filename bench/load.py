"""Requests at one web front over a few connections, as fast as it answers or as many as are wanted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.http import Connection


@dataclass(frozen=True)
class SubmitResult:
    """``ids`` in the order of the answers."""

    ids: list[str]
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.ids) / self.seconds


@dataclass(frozen=True)
class SubmitRequest:
    """How a system is given a job over HTTP, and where in its answer the id stands."""

    port: int
    path: str
    id_field: str
    body: bytes


def submit_many(request: SubmitRequest, count: int, connections: int) -> SubmitResult:
    """Exactly so many jobs. Raises RuntimeError at the first that is not accepted."""
    remaining = iter(range(count))
    return asyncio.run(submit_while(request, connections, lambda: next(remaining, None) is not None))


def submit_for(request: SubmitRequest, seconds: float, connections: int) -> SubmitResult:
    """As many as are accepted in that time."""
    return asyncio.run(submit_until(request, time.perf_counter() + seconds, connections))


async def submit_until(request: SubmitRequest, end: float, connections: int) -> SubmitResult:
    return await submit_while(request, connections, lambda: time.perf_counter() < end)


async def submit_while(request: SubmitRequest, connections: int, wants_more: Callable[[], bool]) -> SubmitResult:
    """Raises RuntimeError at the first that is not accepted."""
    ids: list[str] = []
    started_at = time.perf_counter()
    await asyncio.gather(*(_submit_on_connection(request, wants_more, ids) for _ in range(connections)))
    return SubmitResult(ids, time.perf_counter() - started_at)


async def _submit_on_connection(request: SubmitRequest, wants_more: Callable[[], bool], ids: list[str]) -> None:
    async with Connection(request.port) as connection:
        while wants_more():
            reply = await connection.call("POST", request.path, request.body)
            ids.append(reply.json(202)[request.id_field])
