"""Submits jobs over a few connections, for a given time or up to a given number."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.http import Connection


@dataclass(frozen=True)
class SubmitResult:
    """The ids of the accepted jobs, in the order of the responses."""

    ids: list[str]
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.ids) / self.seconds


@dataclass(frozen=True)
class SubmitRequest:
    """How to submit a job to a system over HTTP, and the field of the response that contains its id."""

    port: int
    path: str
    id_field: str
    body: bytes


def submit_many(request: SubmitRequest, count: int, connections: int) -> SubmitResult:
    """Submit exactly `count` jobs. Raises RuntimeError when one is not accepted."""
    remaining = iter(range(count))
    return asyncio.run(submit_while(request, connections, lambda: next(remaining, None) is not None))


def submit_for(request: SubmitRequest, seconds: float, connections: int) -> SubmitResult:
    """As many as are accepted in that time."""
    return asyncio.run(submit_until(request, time.perf_counter() + seconds, connections))


async def submit_until(request: SubmitRequest, end: float, connections: int) -> SubmitResult:
    return await submit_while(request, connections, lambda: time.perf_counter() < end)


async def submit_while(request: SubmitRequest, connections: int, wants_more: Callable[[], bool]) -> SubmitResult:
    """Submit until `wants_more` returns false. Raises RuntimeError when a job is not accepted."""
    ids: list[str] = []
    started_at = time.perf_counter()
    await asyncio.gather(*(_submit_on_connection(request, wants_more, ids) for _ in range(connections)))
    return SubmitResult(ids, time.perf_counter() - started_at)


async def _submit_on_connection(request: SubmitRequest, wants_more: Callable[[], bool], ids: list[str]) -> None:
    async with Connection(request.port) as connection:
        while wants_more():
            reply = await connection.call("POST", request.path, request.body)
            ids.append(reply.json(202)[request.id_field])
