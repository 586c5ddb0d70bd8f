"""Events that a failover of Redis has lost are written again, as they were, while their attempt goes on."""

import asyncio
import json

import pytest

from jobs.kinds.chat import ChatAnswer
from jobs.results import Usage
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore
from tasks.attempt import steps
from tasks.handlers.event_writer import EventWriter
from tasks.heartbeat import RunningAttempt
from tasks.provider.formats.delta import Delta
from tests.jobs.conftest import Driver
from tests.support.fakes import fake

ANSWER = ChatAnswer(
    text="abcdef",
    model="m",
    finish_reason="stop",
    usage=Usage(input_tokens=1, output_tokens=1, total_tokens=2),
)


@pytest.fixture
def lease(store, settings):
    """The lease of a running attempt."""
    return Driver(store, settings).lease()


def logged(redis_client, lease):
    """The lines of the job's log."""
    return redis_client.lrange(keys.events(lease.job_id), 0, -1)


def run_with_writer(lease, settings, work):
    """Await ``work(writer, store)`` with a writer that waits as little as possible between its writes."""

    async def run():
        store = AsyncStore.open(settings)
        try:
            return await work(EventWriter(RunningAttempt(lease), store, 0.0), store)
        finally:
            await store.close()

    return asyncio.run(run())


async def write_each(writer, texts):
    """Add the texts one after the other, each once the writer has written the one before."""
    for text in texts:
        writer.add(Delta(text=text))
        await writer._flusher


def finish(writer, store, lease, settings):
    """End the job as an attempt does."""
    return steps._write(
        fake(store=store),
        fake(writer=writer, running_attempt=writer._running_attempt),
        lambda tail: transitions.finish(lease, ANSWER, State.COMPLETED, settings, tail),
    )


@pytest.mark.parametrize("kept", range(1, 7))
def test_lost_events_are_written_again_with_the_same_numbers(redis_client, settings, lease, kept):
    """A follower that has read an event before the failover goes on with the next number and misses nothing."""

    async def work(writer, _store):
        await write_each(writer, "abcde")
        before = logged(redis_client, lease)
        redis_client.ltrim(keys.events(lease.job_id), 0, kept - 1)
        await write_each(writer, "f")
        return before

    before = run_with_writer(lease, settings, work)

    assert len(before) == 6
    lines = logged(redis_client, lease)
    assert lines[:6] == before
    assert [json.loads(line)["text"] for line in lines[6:]] == ["f"]


@pytest.mark.parametrize("unwritten", [0, 3, 1_200])
def test_events_that_are_lost_before_the_end_are_written_with_it(redis_client, settings, lease, unwritten):
    """An answer that is complete when Redis fails over is not asked for again, and its log is complete."""

    async def work(writer, store):
        await write_each(writer, "abc")
        redis_client.ltrim(keys.events(lease.job_id), 0, 1)
        for number in range(unwritten):
            writer.add(Delta(data={"number": number}))
        await writer.close()
        return await finish(writer, store, lease, settings)

    assert run_with_writer(lease, settings, work) is True
    lines = [json.loads(line) for line in logged(redis_client, lease)]
    assert [line["text"] for line in lines[1:4]] == ["a", "b", "c"]
    assert [line["data"]["number"] for line in lines[4:-1]] == list(range(unwritten))
    assert lines[-1]["type"] == "completed"


def test_an_attempt_whose_claim_is_lost_has_lost_its_lease(redis_client, settings, lease):
    """Without the claim's own event another attempt may have begun: the writer must not go on."""

    async def work(writer, store):
        await write_each(writer, "ab")
        redis_client.delete(keys.events(lease.job_id))
        writer.add(Delta(text="c"))
        await writer._flusher
        return writer._running_attempt.has_lost_lease, await finish(writer, store, lease, settings)

    assert run_with_writer(lease, settings, work) == (True, None)
