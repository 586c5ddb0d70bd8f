"""The tables, by name. Each file makes one or two."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from bench.plan import Plan
from bench.rows import ask, calls, durability, first_token, latency, memory, openai_client, overview, relay, submit
from bench.table import Table

FAMILIES: Final[Mapping[str, Callable[[Plan], Table[Any]]]] = {
    "calls": calls.table,
    "submit": submit.table,
    "latency": latency.table,
    "first_token": first_token.table,
    "openai_client": openai_client.table,
    "relay": relay.table,
    "idle_readers": relay.idle_table,
    "overview": overview.table,
    "memory": memory.table,
    "ask": ask.table,
    "durability": durability.table,
}
