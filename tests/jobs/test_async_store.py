"""The async store waits for Redis as long as its process lives, and no longer."""

import asyncio

import pytest

from jobs import queries
from jobs.async_store import AsyncStore
from jobs.connect import connect_async
from jobs.errors import StoreUnavailable
from jobs.settings import Settings
from tests.processes import free_port


def test_a_process_that_ends_does_not_wait_for_redis():
    """Neither what waits already nor what comes later: a worker that is told to stop must be able to exit."""

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
