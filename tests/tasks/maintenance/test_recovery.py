"""The recovery duties, each against a real Redis with no worker there: what is found, what is settled, what is left."""

import asyncio
import json

import pytest

from jobs import queries
from jobs.models import Lease
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from jobs.storage.server_info import server_info
from tasks import app
from tasks.maintenance.recovery import Recovery
from tasks.queue_message import make_message_template
from tests.jobs.conftest import ERROR, Driver
from tests.waiting import until


@pytest.fixture
def jobs(store, settings):
    """Short leases, so that a server started moments ago counts as settled."""
    short = settings.model_copy(update={"lease_seconds": 0.3, "heartbeat_seconds": 0.1, "max_worker_losses": 3})
    driver = Driver(store, short)
    driver.message_template = make_message_template(app, short)
    until(lambda: store.run(server_info()).uptime_seconds > 2.3)
    return driver


@pytest.fixture
def tick(jobs):
    return jobs.recover


def republished_ids(redis_client, jobs):
    return [json.loads(raw)["headers"]["id"] for raw in redis_client.lrange(jobs.message_template.high_list, 0, -1)]


def expire(redis_client, job_id):
    redis_client.zadd(keys.LEASES, {job_id: 1})


def hold_forever(redis_client, job_id):
    redis_client.zadd(keys.LEASES, {job_id: "+inf"})


def test_a_dead_workers_job_goes_back_to_the_front(jobs, tick, redis_client):
    """Counted as a death and not as a failure, with a bell before the backlog and the attempt closed in the log."""
    lease = jobs.lease()
    jobs.append(lease, "half an ans")
    expire(redis_client, lease.job_id)

    tick()
    record = jobs.record(lease.job_id)
    assert (record.state, record.attempts, record.worker_losses, record.failures) == (State.QUEUED, 1, 1, 0)
    assert republished_ids(redis_client, jobs) == [lease.job_id]
    last = json.loads(redis_client.lindex(keys.events(lease.job_id), -1))
    assert (last["type"], last["attempt"], last["error"]["code"]) == ("attempt_incomplete", 1, "worker_lost")
    assert not jobs.finish(lease)


def test_a_live_lease_is_left_alone(jobs, tick):
    lease = jobs.lease()

    tick()
    assert jobs.record(lease.job_id).state in {State.IN_PROGRESS, State.QUEUED}
    assert jobs.record(lease.job_id).token == lease.token


def test_a_job_whose_worker_dies_too_often_fails_with_a_clear_code(jobs, tick, redis_client):
    job_id = jobs.create()
    for _ in range(3):
        expire(redis_client, jobs.lease(job_id).job_id)
        tick()

    record = jobs.record(job_id)
    assert (record.state, record.attempts, record.error_code) == (State.FAILED, 3, "worker_lost")


def test_nobody_is_declared_dead_right_after_redis_came_back(jobs, redis_client):
    """Leases that expired during an outage say nothing of their holders."""
    info = jobs.store.run(server_info())

    async def settled(uptime_seconds, seconds_since_outage):
        recovery = Recovery("w", AsyncStore(connect_async(jobs.settings)), jobs.message_template, jobs.settings)
        type(recovery._store).seconds_since_outage = property(lambda _: seconds_since_outage)
        return recovery._is_settled_after_outage(info.model_copy(update={"uptime_seconds": uptime_seconds}))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AsyncStore, "seconds_since_outage", AsyncStore.seconds_since_outage)
        assert asyncio.run(settled(100, 100))
        assert not asyncio.run(settled(1, 100))
        assert not asyncio.run(settled(100, 1))


def test_a_due_retry_gets_its_bell_and_an_early_one_waits(jobs, tick, redis_client):
    due, early = jobs.lease(), jobs.lease()
    jobs.release(due, 0.001)
    jobs.release(early, 60)
    until(lambda: jobs.store.run(queries.server_time_ms()) > jobs.record(due.job_id).retry_at_ms)

    tick()
    assert republished_ids(redis_client, jobs) == [due.job_id]


def test_a_lost_bell_is_rung_again_and_a_waiting_job_is_not(jobs, tick, redis_client):
    """The first bell is lost and overtaken; the third only waits."""
    first, second, third = (jobs.create() for _ in range(3))
    jobs.lease(second)
    for job_id in (first, third):
        redis_client.hset(keys.job(job_id), "created_at_ms", 1)

    tick()
    assert republished_ids(redis_client, jobs) == [first]


def test_a_long_queue_gets_no_second_bells(jobs, tick, redis_client):
    """Three hundred wait, some are taken: not one is rung twice, however old its bell is."""
    waiting = [jobs.create() for _ in range(300)]
    for job_id in waiting:
        redis_client.hset(keys.job(job_id), "created_at_ms", 1)
    for job_id in waiting[:20]:
        redis_client.rpop(jobs.message_template.normal_list)
        jobs.lease(job_id)
        hold_forever(redis_client, job_id)
        tick()

    assert redis_client.llen(jobs.message_template.high_list) == 0
    assert redis_client.llen(jobs.message_template.normal_list) == 280


def test_jobs_accepted_while_no_worker_ran_are_all_found(jobs, tick, redis_client):
    """Even when every bell is gone, the first worker to start picks everything up."""
    job_ids = [jobs.create() for _ in range(30)]
    redis_client.delete(jobs.message_template.normal_list)
    for job_id in job_ids:
        redis_client.hset(keys.job(job_id), "created_at_ms", 1)

    tick()
    assert sorted(republished_ids(redis_client, jobs)) == sorted(job_ids)


def test_a_queued_job_past_its_deadline_fails(jobs, tick, redis_client):
    job_id = jobs.create(jobs.new_job(deadline_seconds=0.001))
    until(lambda: jobs.store.run(queries.overdue(jobs.store.run(queries.server_time_ms()), 10)))

    tick()
    record = jobs.record(job_id)
    assert (record.state, record.error_code) == (State.FAILED, "deadline_exceeded")
    assert redis_client.zcard(keys.DEADLINES) == 0


def test_what_has_expired_leaves_the_indexes(jobs, tick, redis_client):
    """The record vanishes by itself, its index entries by duty: nothing grows for ever."""
    jobs.settings = jobs.settings.model_copy(update={"result_ttl_seconds": 1, "events_ttl_seconds": 1})
    job_id = jobs.in_state(State.COMPLETED)
    until(lambda: not redis_client.exists(keys.job(job_id)))

    tick()
    index_keys = [key for key in redis_client.scan_iter() if redis_client.type(key) == b"zset"]
    assert [key for key in index_keys if redis_client.zscore(key, job_id) is not None] == []


def test_redis_nearly_full_has_submits_refused(jobs, tick, redis_client):
    used = redis_client.info("memory")["used_memory"]
    redis_client.config_set("maxmemory", int(used * 1.1))
    try:
        tick()
        assert redis_client.exists(keys.FULL)
    finally:
        redis_client.config_set("maxmemory", 0)


def test_a_second_tick_changes_nothing(jobs, tick, redis_client):
    """Every duty may be done twice."""
    expire(redis_client, jobs.lease().job_id)
    jobs.release(jobs.lease(), 60)
    jobs.create()
    tick()
    before = (
        redis_client.llen(jobs.message_template.high_list),
        redis_client.llen(jobs.message_template.normal_list),
        jobs.store.run(queries.totals()),
    )

    tick()
    after = (
        redis_client.llen(jobs.message_template.high_list),
        redis_client.llen(jobs.message_template.normal_list),
        jobs.store.run(queries.totals()),
    )
    assert after == before


def test_recovery_never_ends_what_has_ended(jobs, redis_client):
    """A final state is final for recovery too, whatever it still believes."""
    for state in (State.COMPLETED, State.CANCELLED):
        job_id = jobs.in_state(state)
        expire(redis_client, job_id)
        lease = jobs.record(job_id)
        held = Lease(job_id=job_id, queue=lease.queue, token=lease.token, attempt=1, log_length=0)
        assert jobs.release(held, 0, "worker_losses") is None
        assert not jobs.store.run(transitions.fail(held, ERROR, None, jobs.settings, "expired"))
        assert jobs.record(job_id).state is state
