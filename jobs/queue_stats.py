"""The state of the queue, read in two round trips, whose cost does not grow with the number of jobs."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from jobs import queries
from jobs.base import FrozenModel
from jobs.models import Lane, WaitReason
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.commands import Command
from jobs.storage.sync_store import Store
from jobs.tenant_store import TenantStore
from jobs.workers import WorkerStatus


class QueueDepth(FrozenModel):
    """Queued jobs that do not wait for their next attempt; ``published`` of them have a message."""

    name: str
    depth: int
    published: int


class PoolDepth(FrozenModel):
    """The jobs of one pool and lane that wait in lines."""

    pool: str
    lane: Lane
    queued: int
    waiting_for: WaitReason
    waiting_until: datetime | None


class Rates(FrozenModel):
    """Jobs per minute, averaged over RATE_MINUTES full minutes."""

    created: float
    completed: float
    failed: float


class Stats(FrozenModel):
    """The state of the queue, or of one tenant's jobs in it. Reading it costs the same however many jobs there are."""

    counts: dict[State, int]  # stored records by state
    queues: tuple[QueueDepth, ...]
    pools: tuple[PoolDepth, ...]
    waiting_for_retry: int
    queued_bytes: int  # of the requests of all jobs that have not ended
    max_queued_bytes: int
    oldest_queued_seconds: float | None
    workers: tuple[WorkerStatus, ...]  # workers with a heartbeat within the last lease_seconds
    totals: dict[str, int]  # over all time, including expired and deleted jobs
    rates_per_minute: Rates | None  # None: those of one tenant are not counted


def stats(store: Store, settings: Settings) -> Stats:
    """The state of the queue, in two round trips."""
    states = list(State)
    commands: list[Command[Any]] = [
        queries.server_time_ms(),
        queries.oldest_queued(),
        queries.waiting(),
        queries.totals(),
        queries.pool_stats(),
        queries.request_bytes(),
        *queries.minutes(time.time()),
        *(queries.count(state) for state in states),
        *queries.published(keys.DEFAULT_QUEUE),
    ]
    now_ms, oldest, waiting, totals, pools, queued_bytes, _current_minute, *rest = store.run_all(commands)
    minutes, rest = rest[: queries.RATE_MINUTES], rest[queries.RATE_MINUTES :]
    counts = dict(zip(states, rest[: len(states)], strict=True))
    published = sum(rest[len(states) :])
    workers, age = _workers_and_age(store, settings, now_ms, oldest)
    return Stats(
        counts=counts,
        queues=(
            QueueDepth(name=keys.DEFAULT_QUEUE, depth=max(0, counts[State.QUEUED] - waiting), published=published),
        ),
        pools=tuple(map(_pool_depth, pools)),
        waiting_for_retry=waiting,
        queued_bytes=queued_bytes,
        max_queued_bytes=settings.max_queued_bytes,
        oldest_queued_seconds=age,
        workers=tuple(workers),
        totals=totals,
        rates_per_minute=Rates(**{name: _rate(minutes, name) for name in Rates.model_fields}),
    )


def stats_of(store: TenantStore, settings: Settings) -> Stats:
    """The jobs of one tenant. What concerns the whole service, such as workers and pools, is left out."""
    counts = store.counts()
    return Stats(
        counts=counts,
        queues=(),
        pools=(),
        waiting_for_retry=0,
        queued_bytes=store.request_bytes(),
        max_queued_bytes=settings.max_queued_bytes,
        oldest_queued_seconds=None,
        workers=(),
        totals={},
        rates_per_minute=None,
    )


def worker_problems(stats: Stats) -> Iterator[str]:
    """Why queued jobs would not start, even if no job is queued at present; nothing if they do."""
    queued = stats.counts[State.QUEUED]
    if not stats.workers:
        yield "no worker is alive"
    elif queued and all(worker.takes_jobs is False for worker in stats.workers):  # None: unknown
        yield f"no worker takes jobs, and the number of queued jobs is {queued}"


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


def _pool_depth(pool: queries.WaitingPool) -> PoolDepth:
    until = None if pool.until_ms is None else datetime.fromtimestamp(pool.until_ms / 1000, UTC)
    return PoolDepth(
        pool=pool.name, lane=pool.lane, queued=pool.queued, waiting_for=pool.waiting_for, waiting_until=until
    )


def _rate(minutes: list[dict[str, int]], count_name: str) -> float:
    return sum(minute.get(count_name, 0) for minute in minutes) / len(minutes)
