"""Requests at one web front over a few connections, as fast as it answers or as many as are wanted."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from bench.http import Connection


@dataclass(frozen=True)
class Answered:
    """``ids`` in the order of the answers."""

    ids: list[str]
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.ids) / self.seconds


@dataclass(frozen=True)
class Submit:
    """How a system is given a job over HTTP, and where in its answer the id stands."""

    port: int
    path: str
    id_name: str
    body: bytes


def submit_many(submit: Submit, count: int, connections: int) -> Answered:
    """Exactly so many jobs. Raises RuntimeError at the first that is not accepted."""
    left = iter(range(count))
    return asyncio.run(submit_while(submit, connections, lambda: next(left, None) is not None))


def submit_for(submit: Submit, seconds: float, connections: int) -> Answered:
    """As many as are accepted in that time."""
    return asyncio.run(submit_until(submit, time.perf_counter() + seconds, connections))


async def submit_until(submit: Submit, end: float, connections: int) -> Answered:
    return await submit_while(submit, connections, lambda: time.perf_counter() < end)


async def submit_while(submit: Submit, connections: int, wants_more: Callable[[], bool]) -> Answered:
    """Raises RuntimeError at the first that is not accepted."""
    ids: list[str] = []
    began_at = time.perf_counter()
    await asyncio.gather(*(_submit_over_one(submit, wants_more, ids) for _ in range(connections)))
    return Answered(ids, time.perf_counter() - began_at)


async def _submit_over_one(submit: Submit, wants_more: Callable[[], bool], ids: list[str]) -> None:
    async with Connection(submit.port) as connection:
        while wants_more():
            reply = await connection.call("POST", submit.path, submit.body)
            ids.append(reply.json(202)[submit.id_name])
