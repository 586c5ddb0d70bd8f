"""A fault: one row of the table, and the function that injects it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.environment import Environment

ASYNCIO = ("asyncio",)
EVERY_POOL = ("asyncio", "threads", "prefork")


class FaultSkipped(Exception):
    """This machine cannot run the row. The message is the reason."""


@dataclass(frozen=True)
class Fault:
    """``end_seconds``: time for all jobs to end after the fault. ``extra_calls_share``: limit of repeated calls."""

    name: str
    title: str
    inject: Callable[[Environment], None]
    pools: tuple[str, ...] = ASYNCIO
    end_seconds: float = 120.0
    extra_calls_share: float | None = None
