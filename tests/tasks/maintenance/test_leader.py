"""One worker at a time does the maintenance, and continues after a failure."""

import asyncio
from contextlib import suppress

from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from tasks.maintenance.leader import run_while_leader


def run_as(worker, settings, run, seconds):
    """Run the loop of this worker until ``run`` raises CancelledError, but at most for the given seconds."""

    async def loop():
        store = AsyncStore(connect_async(settings))
        with suppress(TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(seconds):
                await run_while_leader(worker, store, "a task", run, interval_seconds=0.01)
        await store.close()

    asyncio.run(loop())


def test_a_run_that_raises_is_repeated_and_logged_when_its_error_changes(redis_client, settings, caplog):
    """One failure must not end a worker's maintenance for good; the log holds no text of the error."""
    errors = [ValueError("secret"), ValueError("secret"), TypeError("secret"), None, TypeError("secret")]

    async def fail():
        if not errors:
            raise asyncio.CancelledError
        if (error := errors.pop(0)) is not None:
            raise error

    run_as("w", settings, fail, seconds=10)
    assert errors == []
    assert [record.getMessage() for record in caplog.records] == [
        f"maintenance_failed task=a task error={name}" for name in ("ValueError", "TypeError", "TypeError")
    ]


def test_a_worker_that_is_not_the_leader_does_nothing(redis_client, settings, store):
    """Without the lock every worker would repeat the same work in Redis."""
    assert store.run(transitions.become_leader("another", 60_000))
    runs = []

    async def run():
        runs.append(1)

    run_as("w", settings, run, seconds=0.3)
    assert runs == []
