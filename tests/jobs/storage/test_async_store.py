"""The async store waits for Redis as long as its process runs, and no longer."""

import asyncio
import math

import pytest

from jobs import queries
from jobs.errors import InternalError, StoreUnavailable
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.commands import plain_command
from jobs.storage.redis_client import connect_async
from tests.jobs.conftest import USAGE
from tests.support.processes import free_port


def test_a_stopping_process_does_not_wait_for_redis():
    """After stop_waiting neither a pending nor a new command waits, so that a stopping worker can exit."""

    async def run():
        store = AsyncStore(connect_async(Settings(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")))
        waiting = asyncio.create_task(store.run(queries.server_time_ms()))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.3)
        store.stop_waiting()
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(waiting, 5)
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(store.run(queries.server_time_ms()), 5)
        await store.close()

    asyncio.run(run())


def test_a_text_that_cannot_be_encoded_fails_only_its_own_command(jobs, settings):
    """Half a surrogate pair in one answer fails no other command of its batch, and no error quotes the text."""
    broken, intact = jobs.lease(), jobs.lease()

    async def run():
        store = AsyncStore(connect_async(settings))
        appends = [
            transitions.append(lease, transitions.PendingEvents(1, (text,)), USAGE)
            for lease, text in ((broken, "canary \ud83d"), (intact, "fine"))
        ]
        answers = await asyncio.gather(*map(store.run, appends), return_exceptions=True)
        await store.close()
        return answers

    refused, length = asyncio.run(run())
    assert isinstance(refused, InternalError)
    assert "canary" not in f"{refused!r} {refused.__cause__!r}"
    assert refused.__suppress_context__
    assert length == 2


def test_a_refused_command_does_not_hold_up_the_others(redis_client, redis_url):
    """A right that is missing for one command would otherwise delay every event of every stream."""
    redis_client.acl_setuser(
        "limited", enabled=True, passwords=["+p"], keys=["*"], channels=["*"], commands=["+@all", "-lpush"]
    )
    settings = Settings(REDIS_URL=redis_url.replace("://", "://limited:p@"))

    async def run() -> int:
        store = AsyncStore.open(settings)
        refused = asyncio.create_task(store.run(plain_command("LPUSH", "list", "x", read=int)))
        while math.isinf(store.seconds_since_outage):
            await store.run(queries.server_time_ms())
        for _ in range(200):
            await store.run(queries.server_time_ms())
        redis_client.acl_setuser("limited", commands=["+lpush"])
        length = await asyncio.wait_for(refused, 10)
        await store.close()
        return length

    try:
        assert asyncio.run(run()) == 1
        stats = redis_client.info("commandstats")["cmdstat_lpush"]
        assert stats["rejected_calls"] < 50
    finally:
        redis_client.acl_deluser("limited")
