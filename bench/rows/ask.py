"""What it adds to a chat that it is answered from documents: the same question with and without, in turn."""

import asyncio
import importlib.util
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bench.figures import column, percentile
from bench.http import Connection
from bench.plan import Plan
from bench.rounds import in_turn
from bench.runner import Arena
from bench.systems import CHATQUEUE, NotInstalled
from bench.table import Table
from jobs.settings import Settings

if TYPE_CHECKING:
    from bench.shelving import Shelf

TITLE: Final = "A chat answered from documents"
NOTES: Final = (
    "POST /chat/sync, one at a time: no documents, all of them, one of them; the same question, one after the other",
    "the offline model answers at once, and embeds the question: what a real provider takes for that comes on top",
    "vectors have 384 dimensions and were filled in by the verb that an ingest ends with",
)
WARM_UP: Final = 10


@dataclass(frozen=True)
class Asked:
    """``all`` and ``one``: documents named in the question."""

    documents: float | None = column("documents", 0)
    plain_p50_ms: float | None = column("without p50 ms")
    plain_p99_ms: float | None = column("p99")
    all_p50_ms: float | None = column("all p50 ms")
    all_p99_ms: float | None = column("p99")
    one_p50_ms: float | None = column("one p50 ms")
    one_p99_ms: float | None = column("p99")
    all_added_ms: float | None = column("all adds p50 ms")
    one_added_ms: float | None = column("one adds p50 ms")


def table(plan: Plan) -> Table[Asked]:
    contenders = {f"chatqueue, {count:,} chunks": partial(_measure, count) for count in plan.chunks}
    return in_turn(TITLE, replace(plan, rounds=1), contenders, NOTES)


def _measure(count: int, plan: Plan) -> Asked:
    if importlib.util.find_spec("lancedb") is None:
        raise NotInstalled("lancedb is not installed: it has no wheel for this platform")
    from bench.shelving import fill

    with Arena(plan, CHATQUEUE) as arena:
        shelf = fill(_settings(arena), count)
        arena.start_web()
        arena.start_workers()
        taken = asyncio.run(_ask_all(arena.web_port, shelf, plan.round_trips))
    p50 = {name: percentile(times, 0.5) for name, times in taken.items()}
    p99 = {name: percentile(times, 0.99) for name, times in taken.items()}
    return Asked(
        documents=len(shelf.document_ids),
        plain_p50_ms=p50["plain"],
        plain_p99_ms=p99["plain"],
        all_p50_ms=p50["all"],
        all_p99_ms=p99["all"],
        one_p50_ms=p50["one"],
        one_p99_ms=p99["one"],
        all_added_ms=p50["all"] - p50["plain"],
        one_added_ms=p50["one"] - p50["plain"],
    )


def _settings(arena: Arena) -> Settings:
    return Settings(
        REDIS_URL=arena.environment["REDIS_URL"],
        OPENAI_API_KEY=arena.environment["OPENAI_API_KEY"],
        OPENAI_BASE_URL=arena.environment["OPENAI_BASE_URL"],
        data_dir=arena.environment["CHATQUEUE_DATA_DIR"],
    )


async def _ask_all(port: int, shelf: "Shelf", count: int) -> dict[str, list[float]]:
    """Milliseconds of each."""
    taken: dict[str, list[float]] = {"plain": [], "all": [], "one": []}
    async with Connection(port) as connection:
        for number in range(WARM_UP + count):
            message = shelf.questions[number % len(shelf.questions)]
            one = shelf.document_ids[number % len(shelf.document_ids)]
            taken["plain"].append(await _ask(connection, {"message": message}))
            taken["all"].append(await _ask(connection, {"message": message, "documents": "all"}, must_cite=True))
            taken["one"].append(await _ask(connection, {"message": message, "documents": [one]}))
    return {name: times[WARM_UP:] for name, times in taken.items()}


async def _ask(connection: Connection, question: Mapping[str, Any], *, must_cite: bool = False) -> float:
    """Raises RuntimeError where nothing was found in all documents: then it was no answer from them."""
    began_at = time.perf_counter()
    reply = await connection.call("POST", "/api/v1/chat/sync", json.dumps(question).encode())
    taken = (time.perf_counter() - began_at) * 1000
    if not reply.json(200)["citations"] and must_cite:
        raise RuntimeError("nothing was found to answer from")
    return taken
