"""The stores: outages fail fast and clearly in the sync store, and are waited out in the async store."""

import asyncio
import socket
import time
from urllib.parse import urlsplit

import pytest
import redis

from jobs import queries
from jobs.errors import QueueFull, StoreUnavailable
from jobs.models import QueuePosition
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect, connect_async
from jobs.storage.sync_store import Store
from tests.support.processes import free_port

HEAD = QueuePosition(queue_position=0, estimated_wait_ms=0, waiting_for="slot", waiting_until_ms=None)


def test_a_refused_connection_fails_fast():
    """Without a Redis server the store raises StoreUnavailable in well under three seconds."""
    store = Store(connect(Settings(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")))
    started = time.monotonic()

    with pytest.raises(StoreUnavailable):
        store.run(queries.waiting())
    assert time.monotonic() - started < 3


@pytest.mark.slow
def test_a_silent_server_fails_within_three_seconds():
    """A server that accepts connections and never answers causes an error, not a hang."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = Store(connect(Settings(REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")))
        started = time.monotonic()

        with pytest.raises(StoreUnavailable):
            store.run(queries.waiting())
        assert time.monotonic() - started < 3


def test_a_connection_closed_while_idle_is_not_an_error(jobs, redis_client):
    """After a restart of Redis, the old connections in the pool must not fail a request."""
    jobs.create()
    redis_client.client_kill_filter(_type="normal", skipme=True)

    assert jobs.store.run(queries.count(State.QUEUED)) == 1


def test_a_server_without_our_scripts_gets_them_again(jobs, redis_client):
    """After a restart of Redis, which clears its script cache, every command still succeeds."""
    job_id = jobs.create()
    redis_client.script_flush()

    assert jobs.store.run_all([queries.queue_position(job_id, jobs.message_template.queue)] * 2) == [HEAD] * 2


def test_a_full_server_refuses_creates_like_a_full_queue(jobs, redis_client):
    """At its memory limit Redis refuses writes: the caller gets QueueFull, which is a 429, and reads still work."""
    job_id = jobs.create()
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(QueueFull):
            jobs.create()
        assert jobs.record(job_id).state is State.QUEUED
    finally:
        redis_client.config_set("maxmemory", 0)


def test_one_refused_command_does_not_stop_the_others_of_its_batch(jobs, redis_client):
    """An error of one command is raised, although the other commands of the round trip have run."""
    redis_client.set("cq:waiting", "not a sorted set")

    with pytest.raises(redis.ResponseError):
        jobs.store.run_all([queries.waiting(), queries.count(State.QUEUED)])


def test_the_async_store_sends_the_commands_of_many_callers_together(jobs, settings):
    """Simultaneous commands of many callers share round trips."""

    async def run():
        store = AsyncStore(connect_async(settings))
        await store.run(queries.waiting())
        before = (
            await store.run(transitions.become_leader("w", 1))
            and jobs.store._client.info("stats")["total_reads_processed"]
        )
        answers = await asyncio.gather(*(store.run(queries.count(State.QUEUED)) for _ in range(300)))
        after = jobs.store._client.info("stats")["total_reads_processed"]
        await store.close()
        return answers, after - before

    answers, reads = asyncio.run(run())
    assert answers == [0] * 300
    assert reads < 30


def test_the_async_store_waits_for_redis_to_return(settings):
    """A command that is sent during an outage is delivered after it."""
    port = free_port()
    away = Settings(REDIS_URL=f"redis://127.0.0.1:{port}/0")

    async def run():
        store = AsyncStore(connect_async(away))
        answer = asyncio.create_task(store.run(queries.waiting()))
        await asyncio.sleep(0)
        assert not answer.done()

        async def forward(reader, writer):
            upstream = await asyncio.open_connection("127.0.0.1", _port(settings))
            await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))

        async with await asyncio.start_server(forward, "127.0.0.1", port):
            result = await asyncio.wait_for(answer, 10)
            await store.close()
        return result

    assert asyncio.run(run()) == 0


def _port(settings):
    return urlsplit(settings.record_url.get_secret_value()).port


async def _pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
