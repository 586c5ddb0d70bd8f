"""Whether jobs run: workers, their versions, and records that another version has written."""

from collections.abc import Iterator
from typing import Final

from jobs import lookup, queue_stats
from jobs.errors import QueueFull, StoreUnavailable
from jobs.settings import Settings
from jobs.states import State
from jobs.storage.sync_store import Store
from jobs.tenant_store import default_store
from jobs.version import VERSION
from local.doctor.finding import Finding, Level
from local.readiness import is_answered_by_us

_RECORDS: Final = 100  # the newest ones
_UNREADABLE: Final = frozenset({"no_capable_worker", "request_unreadable"})  # why a worker has put a job back
_DEPLOYS: Final = "see docs/operations.md#deploys"


def check_workers(settings: Settings) -> Iterator[Finding]:
    """Nothing if Redis cannot be asked: its own check says why."""
    store = Store.open(settings)
    try:
        stats = queue_stats.stats(store, settings)
        yield from _problems(stats, is_answered_by_us("web_port", settings))
        yield from _check_records(store)
    except (StoreUnavailable, QueueFull):
        return
    finally:
        store.close()


def _problems(stats: queue_stats.Stats, is_web_running: bool) -> Iterator[Finding]:
    problems = tuple(queue_stats.worker_problems(stats))
    level = Level.PROBLEM if is_web_running or stats.counts[State.QUEUED] else Level.NOTE
    for problem in problems:
        yield Finding("workers", level, f"{problem}: start one with `chatqueue worker`, or all with `chatqueue up`")
    if not problems:
        yield Finding("workers", Level.OK, f"{len(stats.workers)} alive")
    for worker in stats.workers:
        if worker.version not in {None, VERSION}:
            problem = f"worker {worker.name} has version {worker.version}, and this is {VERSION}"
            yield Finding("workers", Level.WARNING, f"{problem}: finish the deploy, {_DEPLOYS}")


def _check_records(store: Store) -> Iterator[Finding]:
    records = lookup.page(default_store(store), None, None, _RECORDS).records
    if unreadable := sum(bool(record.unreadable) for record in records):
        problem = f"{unreadable} of the newest {len(records)} jobs were written by another version, or are damaged"
        advice = f"let workers of that version finish them ({_DEPLOYS}), or cancel and delete them"
        yield Finding("records", Level.PROBLEM, f"{problem}: {advice}")
    if waiting := sum(record.state is State.QUEUED and record.error_code in _UNREADABLE for record in records):
        problem = f"{waiting} jobs wait for a worker of another version"
        yield Finding("records", Level.PROBLEM, f"{problem}: start one, {_DEPLOYS}")
