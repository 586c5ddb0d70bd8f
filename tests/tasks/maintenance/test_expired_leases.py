"""A job whose worker is lost runs again, a limited number of times, and never while its worker may still be alive."""

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
from tasks.maintenance.expired_leases import may_judge_leases, recover_jobs
from tasks.maintenance.tick import Tick
from tasks.publisher import Publisher
from tests.jobs.conftest import ERROR
from tests.tasks.maintenance.conftest import expire_lease, published_ids


def test_a_job_of_a_dead_worker_is_queued_again(jobs, tick, redis_client):
    """The attempt counts as a worker loss, not as a failure. It is closed in the log and can no longer write."""
    lease = jobs.lease()
    redis_client.delete(jobs.message_template.normal_list)
    jobs.append(lease, "half an ans")
    expire_lease(redis_client, lease.job_id)

    tick()
    record = jobs.record(lease.job_id)
    assert (record.state, record.attempts, record.worker_losses, record.failures) == (State.QUEUED, 1, 1, 0)
    assert published_ids(redis_client, jobs) == [lease.job_id]
    last = json.loads(redis_client.lindex(keys.events(lease.job_id), -1))
    assert (last["type"], last["attempt"], last["error"]["code"]) == ("attempt_incomplete", 1, "worker_lost")
    assert not jobs.finish(lease)


def test_a_live_lease_is_not_touched(jobs, tick):
    """A worker that renews its lease keeps its job."""
    lease = jobs.lease()

    tick()
    assert jobs.record(lease.job_id).state in {State.IN_PROGRESS, State.QUEUED}
    assert jobs.record(lease.job_id).token == lease.token


def test_a_job_that_loses_too_many_workers_fails_with_a_clear_code(jobs, tick, redis_client):
    """A job that kills its workers must not run forever."""
    job_id = jobs.create()
    for _ in range(3):
        expire_lease(redis_client, jobs.lease(job_id).job_id)
        tick()

    record = jobs.record(job_id)
    assert (record.state, record.attempts, record.error_code) == (State.FAILED, 3, "worker_lost")


def test_no_lease_is_judged_right_after_an_outage():
    """A lease that expired during an outage does not prove that its worker is lost: no worker could renew."""
    assert may_judge_leases(seconds_since_outage=100, primary_seconds=100, lease_seconds=0.3)
    assert not may_judge_leases(seconds_since_outage=100, primary_seconds=1, lease_seconds=0.3)
    assert not may_judge_leases(seconds_since_outage=1, primary_seconds=100, lease_seconds=0.3)


@pytest.mark.parametrize(
    ("primary_seconds", "seconds_since_outage", "state"),
    [(100, 100, State.QUEUED), (1, 100, State.IN_PROGRESS), (100, 1, State.IN_PROGRESS)],
    ids=["settled", "new primary", "connection lost"],
)
def test_an_expired_lease_waits_until_the_outage_is_over(
    jobs, redis_client, monkeypatch, primary_seconds, seconds_since_outage, state
):
    """Recovery waits both after a restart or a failover of the server and after a lost connection of this worker."""
    monkeypatch.setattr(AsyncStore, "seconds_since_outage", seconds_since_outage)
    server = jobs.store.run(server_info())
    now_ms = jobs.store.run(queries.server_time_ms())
    job_id = jobs.lease().job_id
    expire_lease(redis_client, job_id)

    async def recover():
        store = AsyncStore(connect_async(jobs.settings))
        publisher = Publisher(app, jobs.settings)
        tick = Tick(store, jobs.message_template, publisher, jobs.settings, now_ms, server, primary_seconds)
        await recover_jobs(tick)
        await store.close()

    asyncio.run(recover())
    assert jobs.record(job_id).state is state


def test_a_new_primary_is_noticed_whoever_asks(jobs):
    """Every worker may be the leader next, so the time of the change is in Redis."""
    seconds = [jobs.store.run(transitions.note_primary(run_id)) for run_id in "aabba"]

    assert [second < 60 for second in seconds] == [False, False, True, True, True]  # the first has always been there


def test_no_lease_is_judged_right_after_a_failover(jobs, redis_client, tick):
    """The new primary may lack the last renewals of workers that are alive."""
    job_id = jobs.lease().job_id
    expire_lease(redis_client, job_id)
    jobs.store.run(transitions.note_primary("the former primary"))

    tick()

    assert jobs.record(job_id).state is State.IN_PROGRESS


def test_a_job_that_has_ended_is_neither_released_nor_failed(jobs, redis_client):
    """A final state is final for recovery too, even when recovery works from an outdated record."""
    for state in (State.COMPLETED, State.CANCELLED):
        job_id = jobs.in_state(state)
        expire_lease(redis_client, job_id)
        record = jobs.record(job_id)
        lease = Lease(job_id=job_id, queue=record.queue, token=record.token, attempt=1, log_length=0)
        assert jobs.release(lease, 0, "worker_losses") is None
        assert not jobs.store.run(transitions.fail(lease, ERROR, None, jobs.settings, "expired"))
        assert jobs.record(job_id).state is state
