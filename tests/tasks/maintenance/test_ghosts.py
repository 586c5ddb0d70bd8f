"""Entries of indexes without a record are dropped, page by page; maintenance bears what it cannot read."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from jobs.states import State
from jobs.storage import keys
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from jobs.tenant import DEFAULT_TENANT
from tasks import app
from tasks.maintenance import ghosts
from tasks.maintenance.recovery import Recovery
from tasks.publisher import Publisher
from tests.support.fakes import fake
from tests.tasks.maintenance.conftest import expire_lease, publish_everything

JOB_INDEXES = [
    keys.INDEX_ALL,
    *map(keys.index, State),
    keys.LEASES,
    keys.WAITING,
    keys.DEADLINES,
    keys.EXPIRY,
    keys.messages(keys.DEFAULT_QUEUE),
    keys.messages_high(keys.DEFAULT_QUEUE),
]
TICKS_PER_ROUND = len(JOB_INDEXES) + 1  # one page each, and the documents
FAR = 10**13  # ms: not due


@pytest.fixture
def run_round(jobs):
    """Runs recovery for one round over all indexes, and returns the number of its ticks."""

    async def run(ticks):
        store = AsyncStore(connect_async(jobs.settings))
        recovery = Recovery("w", store, jobs.message_template, Publisher(app, jobs.settings), jobs.settings)
        try:
            for _ in range(ticks):
                await recovery.tick()
        finally:
            await store.close()

    return lambda ticks=TICKS_PER_ROUND: asyncio.run(run(ticks))


def test_ghosts_are_dropped_and_counted(jobs, redis_client, run_round):
    """Lost records of queued, running and ended jobs: the counts are right again, and live jobs keep every entry."""
    lost = [jobs.create(), jobs.lease().job_id, jobs.in_state(State.COMPLETED)]
    live = [jobs.create(), jobs.lease().job_id, jobs.in_state(State.COMPLETED)]
    redis_client.zadd(keys.LEASES, {live[1]: FAR})  # the round takes longer than a lease on a slow machine
    publish_everything(redis_client, jobs)
    jobs.report_worker(slots=100)
    redis_client.delete(*map(keys.job, lost))
    before = [set(redis_client.zrange(index, 0, -1)) - {job_id.encode() for job_id in lost} for index in JOB_INDEXES]

    run_round()

    assert [set(redis_client.zrange(index, 0, -1)) for index in JOB_INDEXES] == before
    assert redis_client.hget(keys.TOTALS, "ghosts") == b"3"
    assert redis_client.exists(*map(keys.request, lost), *map(keys.events, lost)) == 0
    assert redis_client.exists(*map(keys.job, live)) == 3


def test_ghosts_are_warned_of_when_found_and_at_most_once_a_minute(redis_client, settings, caplog, monkeypatch):
    """A round takes hours where there are many jobs: its end is too late for an alert, and each page too often."""
    now = 1_000.0
    monkeypatch.setattr(ghosts, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(ghosts, "_PAGE_SIZE", 2)
    redis_client.zadd(keys.index(State.QUEUED), {f"job_{number:032x}": number for number in range(6)})
    sweep = ghosts.GhostSweep(keys.DEFAULT_QUEUE)

    async def drop_all():
        nonlocal now
        store = AsyncStore(connect_async(settings))
        for seconds in (0, 1, 1, 60):
            now += seconds
            await sweep.drop_ghosts(fake(store=store))
        await store.close()

    asyncio.run(drop_all())
    assert warnings_in(caplog) == ["ghosts_dropped jobs=2 documents=0", "ghosts_dropped jobs=4 documents=0"]


def warnings_in(caplog):
    return [record.getMessage() for record in caplog.records if "ghosts_dropped" in record.getMessage()]


@pytest.mark.parametrize("index", JOB_INDEXES)
def test_a_ghost_is_dropped_from_every_index(redis_client, jobs, run_round, index):
    """Whichever index still contains it."""
    ghost = "job_" + "0" * 32
    redis_client.zadd(index, {ghost: FAR})

    run_round()

    assert redis_client.zscore(index, ghost) is None


def test_a_tick_checks_one_page_and_the_next_ticks_continue(jobs, redis_client, run_round, monkeypatch):
    """The cost of a tick does not grow with the number of jobs, and no ghost is missed."""
    monkeypatch.setattr(ghosts, "_PAGE_SIZE", 5)
    live = [jobs.create() for _ in range(8)]
    ghost_ids = {f"job_{number:032x}": -number for number in range(12)}
    redis_client.zadd(keys.index(State.QUEUED), ghost_ids)

    run_round(1)
    assert redis_client.zcard(keys.index(State.QUEUED)) == 8 + 12 - 5
    run_round(5)
    assert redis_client.zrange(keys.index(State.QUEUED), 0, -1) == [job_id.encode() for job_id in live]


def test_an_expired_record_is_no_ghost(jobs, redis_client, run_round, caplog):
    """Expiry is not a loss: nothing is counted or warned of."""
    caplog.set_level(logging.WARNING)
    job_id = jobs.in_state(State.COMPLETED)
    redis_client.delete(keys.job(job_id))
    redis_client.zadd(keys.EXPIRY, {job_id: 1})

    run_round()

    assert redis_client.zscore(keys.INDEX_ALL, job_id) is None
    assert redis_client.hget(keys.TOTALS, "ghosts") is None


def test_a_lost_document_leaves_the_list(jobs, redis_client, run_round):
    """Its file and chunks stay: Redis may have lost a record that can be restored."""
    ghost = "doc_" + "0" * 32
    redis_client.zadd(keys.documents(DEFAULT_TENANT), {ghost: 1})

    run_round()

    assert redis_client.zcard(keys.documents(DEFAULT_TENANT)) == 0
    assert redis_client.zcard(keys.TOMBSTONES) == 0


DAMAGE = [{"state": "batching"}, {"token": "x"}, {"attempts": "many"}, {"worker_losses": "x"}, {"version": "x"}]


@pytest.mark.parametrize("fields", DAMAGE)
def test_an_unreadable_record_does_not_stop_the_recovery_of_others(jobs, redis_client, tick, fields):
    """Each is first in the index of its task; the job after it is handled in the same tick."""
    damaged, lease, other = jobs.lease().job_id, jobs.lease(), jobs.in_state(State.COMPLETED)
    redis_client.hset(keys.job(damaged), mapping=fields)
    for index in (keys.LEASES, keys.WAITING, keys.EXPIRY, keys.DEADLINES):
        redis_client.zadd(index, {damaged: 0})
    expire_lease(redis_client, lease.job_id)
    redis_client.zadd(keys.EXPIRY, {other: 1})

    tick()

    assert jobs.record(lease.job_id).state is State.QUEUED
    assert redis_client.exists(keys.job(other)) == 0
