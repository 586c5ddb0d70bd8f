"""The leader publishes a job as soon as its target opens, even if no transition of a job opens it."""

import asyncio
import math
from functools import partial

import pytest

from jobs import queries
from jobs.models import Place, WaitReason
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from tasks.maintenance import dispatcher
from tasks.maintenance.dispatcher import Dispatcher
from tasks.notifications import listen_forever
from tasks.outbox import Outbox
from tasks.publisher import Publisher
from tests.support.waiting import until
from tests.tasks.maintenance.conftest import published_ids

POOL, TARGET = "m", "main/m"


@pytest.fixture
def leader(redis_client, jobs, settings, monkeypatch):
    """Runs a function in a thread while a leader dispatches that never looks by itself."""
    monkeypatch.setattr(dispatcher, "_TICK_SECONDS", 3600.0)

    async def lead(act):
        store, client = AsyncStore(connect_async(settings)), connect_async(settings)
        outbox = Outbox(store, jobs.message_template, Publisher(None, settings))
        leading = Dispatcher("w", store, jobs.message_template.queue, outbox)
        tasks = [
            asyncio.create_task(listen_forever(client, {keys.OPENING_CHANNEL: leading.on_opening}, 5)),
            asyncio.create_task(leading.run_forever()),
        ]
        try:
            await asyncio.to_thread(act)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await store.close()
            await client.aclose()

    def run(act):
        asyncio.run(lead(act))

    return run


def by_time(store, redis_client, jobs):
    """The pace allows the next start after a moment."""
    redis_client.hset(keys.target(TARGET), mapping={"gap_ms": 300, "gap_since_ms": 4e12})
    jobs.lease(jobs.create(new_job(jobs)))
    return lambda: None


def by_the_end_of_a_call(store, redis_client, jobs):
    """A running job makes another call, such as the embeddings of a question."""
    redis_client.hset(keys.target(TARGET), "concurrency", 1)
    turn = store.run(transitions.begin_call(POOL, 10))
    return partial(store.run, transitions.end_call(turn, None, has_succeeded=True))


def by_a_stated_limit(store, redis_client, jobs):
    """The headers of an answer state a higher limit than refusals have shown."""
    fields = {"requests_per_minute": 1, "requests_source": "refusal", "learned_ms": 4e12}
    redis_client.hset(keys.target(TARGET), mapping=fields)
    jobs.lease(jobs.create(new_job(jobs)))
    stated = {"requests_limit": 6000, "requests_remaining": 5999, "tokens_limit": None, "tokens_remaining": None}
    return partial(store.run, transitions.observe_limits(TARGET, **stated))


def by_a_configured_limit(store, redis_client, jobs):
    """An operator raises the limit."""
    store.run(transitions.configure_targets({}, {TARGET: {"requests_per_minute": 1}}))
    jobs.lease(jobs.create(new_job(jobs)))
    return partial(store.run, transitions.configure_targets({}, {TARGET: {"requests_per_minute": 6000}}))


def new_job(jobs):
    return jobs.new_job().model_copy(update={"place": Place(pool=POOL)})


@pytest.mark.parametrize("closed", [by_time, by_the_end_of_a_call, by_a_stated_limit, by_a_configured_limit])
def test_a_job_is_published_when_its_target_opens(leader, store, redis_client, jobs, closed):
    """Not half a second later: a caller waits for the answer."""

    def wait_for_the_opening():
        until(lambda: redis_client.pubsub_numsub(keys.OPENING_CHANNEL)[0][1] == 1 and redis_client.get(keys.LEADER))
        open_target = closed(store, redis_client, jobs)
        job_id = jobs.create(new_job(jobs))
        position = store.run(queries.queue_position(job_id))
        assert position.waiting_for is WaitReason.PROVIDER_RATE_LIMIT
        open_target()

        until(lambda: job_id in published_ids(redis_client, jobs))

    leader(wait_for_the_opening)


def test_a_notification_that_is_none_is_ignored(store, jobs, settings):
    """Whoever may publish there could otherwise stop a worker."""
    async_store = AsyncStore(connect_async(settings))
    outbox = Outbox(async_store, jobs.message_template, Publisher(None, settings))
    leading = Dispatcher("w", async_store, jobs.message_template.queue, outbox)

    async def notify():
        leading.on_opening("soon")
        await async_store.close()
        return leading._opens_at

    assert asyncio.run(notify()) == math.inf
