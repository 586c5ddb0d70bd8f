"""The time that searching documents adds to a chat: the same question with and without documents, in turn."""

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
from bench.rounds import run_rounds
from bench.runner import Runner
from bench.systems import CHATQUEUE, NotInstalled
from bench.table import Table
from jobs.settings import Settings

if TYPE_CHECKING:
    from bench.create_documents import Corpus

TITLE: Final = "A chat answered from documents"
NOTES: Final = (
    "POST /chat/sync, one at a time: no documents, all of them, one of them; the same question, one after the other",
    "the offline model embeds the question and answers immediately; a real provider takes additional time for both",
    "vectors have 384 dimensions and were written by the operation that commits an ingest",
)
WARM_UP: Final = 10


@dataclass(frozen=True)
class AskResult:
    """``all`` and ``one``: how many documents the request names."""

    documents: float | None = column("documents", 0)
    plain_p50_ms: float | None = column("without p50 ms")
    plain_p99_ms: float | None = column("p99")
    all_p50_ms: float | None = column("all p50 ms")
    all_p99_ms: float | None = column("p99")
    one_p50_ms: float | None = column("one p50 ms")
    one_p99_ms: float | None = column("p99")
    all_added_ms: float | None = column("all adds p50 ms")
    one_added_ms: float | None = column("one adds p50 ms")


def table(plan: Plan) -> Table[AskResult]:
    measurements = {f"chatqueue, {count:,} chunks": partial(_measure, count) for count in plan.chunks}
    return run_rounds(TITLE, replace(plan, rounds=1), measurements, NOTES)


def _measure(count: int, plan: Plan) -> AskResult:
    if importlib.util.find_spec("lancedb") is None:
        raise NotInstalled("lancedb is not installed: it has no wheel for this platform")
    from bench.create_documents import create_corpus

    with Runner(plan, CHATQUEUE) as runner:
        corpus = create_corpus(_settings(runner), count)
        runner.start_web()
        runner.start_workers()
        durations_ms = asyncio.run(_ask_all(runner.web_port, corpus, plan.round_trips))
    p50 = {name: percentile(times, 0.5) for name, times in durations_ms.items()}
    p99 = {name: percentile(times, 0.99) for name, times in durations_ms.items()}
    return AskResult(
        documents=len(corpus.document_ids),
        plain_p50_ms=p50["plain"],
        plain_p99_ms=p99["plain"],
        all_p50_ms=p50["all"],
        all_p99_ms=p99["all"],
        one_p50_ms=p50["one"],
        one_p99_ms=p99["one"],
        all_added_ms=p50["all"] - p50["plain"],
        one_added_ms=p50["one"] - p50["plain"],
    )


def _settings(runner: Runner) -> Settings:
    return Settings(
        REDIS_URL=runner.environment["REDIS_URL"],
        OPENAI_API_KEY=runner.environment["OPENAI_API_KEY"],
        OPENAI_BASE_URL=runner.environment["OPENAI_BASE_URL"],
        data_dir=runner.environment["CHATQUEUE_DATA_DIR"],
    )


async def _ask_all(port: int, corpus: "Corpus", count: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by the documents that it names."""
    durations_ms: dict[str, list[float]] = {"plain": [], "all": [], "one": []}
    async with Connection(port) as connection:
        for number in range(WARM_UP + count):
            message = corpus.questions[number % len(corpus.questions)]
            document_id = corpus.document_ids[number % len(corpus.document_ids)]
            durations_ms["plain"].append(await _ask(connection, {"message": message}))
            durations_ms["all"].append(await _ask(connection, {"message": message, "documents": "all"}, must_cite=True))
            durations_ms["one"].append(await _ask(connection, {"message": message, "documents": [document_id]}))
    return {name: times[WARM_UP:] for name, times in durations_ms.items()}


async def _ask(connection: Connection, question: Mapping[str, Any], *, must_cite: bool = False) -> float:
    """Milliseconds of one call. Raises RuntimeError when an answer that must cite a document cites none."""
    started_at = time.perf_counter()
    reply = await connection.call("POST", "/api/v1/chat/sync", json.dumps(question).encode())
    duration_ms = (time.perf_counter() - started_at) * 1000
    if not reply.json(200)["citations"] and must_cite:
        raise RuntimeError("the answer cites no document")
    return duration_ms
