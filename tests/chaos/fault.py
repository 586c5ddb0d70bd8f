"""A fault: one row of the table, and how it is inflicted."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.environment import Environment

ASYNCIO = ("asyncio",)
EVERY_POOL = ("asyncio", "threads", "prefork")


class FaultSkipped(Exception):
    """This machine cannot run the row; the message says why."""


@dataclass(frozen=True)
class Fault:
    """``end_seconds``: from when the fault is over, until every job must have ended."""

    name: str
    title: str
    inflict: Callable[[Environment], None]
    pools: tuple[str, ...] = ASYNCIO
    end_seconds: float = 120.0
    extra_calls_share: float | None = None
