"""The state of the queue, read in two round trips, whose cost does not grow with the number of jobs."""

import time
from typing import Any, Final

from jobs import queries
from jobs.base import FrozenModel
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Command
from jobs.storage.sync_store import Store
from jobs.workers import WorkerStatus

QUEUES: Final = (keys.DEFAULT_QUEUE,)


class QueueDepth(FrozenModel):
    """Queued jobs that have a message; ``high`` of them have high priority, because they have waited once already."""

    name: str
    depth: int
    high: int


class Rates(FrozenModel):
    """Jobs per minute, averaged over RATE_MINUTES full minutes."""

    created: float
    completed: float
    failed: float


class Stats(FrozenModel):
    """The state of the queue. The cost of reading it does not grow with the number of jobs."""

    counts: dict[State, int]  # stored records by state
    queues: tuple[QueueDepth, ...]
    waiting_for_retry: int
    oldest_queued_seconds: float | None
    workers: tuple[WorkerStatus, ...]  # workers with a heartbeat within the last lease_seconds
    totals: dict[str, int]  # over all time, including expired and deleted jobs
    rates_per_minute: Rates


def stats(store: Store, settings: Settings) -> Stats:
    """The state of the queue, in two round trips."""
    states = list(State)
    commands: list[Command[Any]] = [
        queries.server_time_ms(),
        queries.oldest_queued(),
        queries.waiting(),
        queries.totals(),
        *queries.minutes(time.time()),
        *(queries.count(state) for state in states),
        *(command for name in QUEUES for command in queries.depth(name)),
    ]
    now_ms, oldest, waiting, totals, _current_minute, *rest = store.run_all(commands)
    minutes, rest = rest[: queries.RATE_MINUTES], rest[queries.RATE_MINUTES :]
    counts, lengths = rest[: len(states)], rest[len(states) :]
    workers, age = _workers_and_age(store, settings, now_ms, oldest)
    return Stats(
        counts=dict(zip(states, counts, strict=True)),
        queues=_depths(lengths),
        waiting_for_retry=waiting,
        oldest_queued_seconds=age,
        workers=tuple(workers),
        totals=totals,
        rates_per_minute=Rates(**{name: _rate(minutes, name) for name in Rates.model_fields}),
    )


def _workers_and_age(
    store: Store, settings: Settings, now_ms: int, oldest: str | None
) -> tuple[list[WorkerStatus], float | None]:
    commands: list[Command[Any]] = [
        queries.workers_since(now_ms - round(settings.lease_seconds * 1000)),
        queries.worker_reports(),
    ]
    if oldest is not None:
        commands.append(queries.record(oldest))
    names, reports, *oldest_records = store.run_all(commands)
    workers = [WorkerStatus.from_report(name, reports.get(name)) for name in names]
    ages = [max(0, now_ms - record.created_at_ms) / 1000 for record in oldest_records if record is not None]
    return workers, ages[0] if ages else None


def _depths(lengths: list[int]) -> tuple[QueueDepth, ...]:
    normal, high = lengths[::2], lengths[1::2]
    return tuple(QueueDepth(name=name, depth=normal[i] + high[i], high=high[i]) for i, name in enumerate(QUEUES))


def _rate(minutes: list[dict[str, int]], count_name: str) -> float:
    return sum(minute.get(count_name, 0) for minute in minutes) / len(minutes)
