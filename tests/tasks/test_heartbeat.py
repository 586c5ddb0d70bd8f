"""One heartbeat renews the leases and reports the worker: a fault of the one does not hide the other."""

import asyncio
from functools import partial

import pytest

from jobs import queries
from jobs.storage import keys
from jobs.storage.async_store import AsyncStore
from jobs.storage.redis_client import connect_async
from tasks.heartbeat import AttemptStopped, Heartbeat, StopReason
from tests.jobs.conftest import Driver
from tests.support.waiting import until
from tests.support.workers import worker_status


def test_a_record_of_the_wrong_type_costs_only_its_own_lease(jobs, redis_client):
    """One command renews all leases of a process."""
    lease, damaged = jobs.lease(), jobs.lease()
    redis_client.delete(keys.job(damaged.job_id))
    redis_client.rpush(keys.job(damaged.job_id), "x")
    redis_client.zadd(keys.LEASES, {lease.job_id: 1})

    assert jobs.renew(damaged, lease) == {damaged.job_id}
    assert redis_client.zscore(keys.LEASES, lease.job_id) > 1


@pytest.fixture
def jobs(store, settings):
    return Driver(store, settings)


def test_a_lost_lease_stops_its_attempt_although_the_report_fails(jobs, redis_client, settings):
    """The call of a cancelled job would go on, and cost money, for as long as the status cannot be written."""
    lease = jobs.lease()
    jobs.cancel(lease.job_id)
    redis_client.set(keys.WORKER_STATUSES, "not a hash")

    async def beat():
        store = AsyncStore(connect_async(settings))
        heartbeat = Heartbeat("worker", store, jobs.message_template, settings)
        heartbeat.report(worker_status)
        running_attempt = heartbeat.track(lease)
        renewing = asyncio.create_task(heartbeat.renew_forever())
        try:
            await asyncio.wait_for(running_attempt.run(asyncio.Event().wait()), 10)
        finally:
            renewing.cancel()
            await store.close()

    with pytest.raises(AttemptStopped) as stopped:
        asyncio.run(beat())
    assert stopped.value.reason is StopReason.LEASE_LOST


@pytest.mark.parametrize("folder", ["", "missing"])
def test_a_heartbeat_touches_the_file_of_the_liveness_probe(jobs, settings, tmp_path, folder):
    """A file that cannot be written costs no lease."""
    file = tmp_path / folder / "heartbeat"
    beating = settings.model_copy(update={"heartbeat_file": file, "heartbeat_seconds": 0.01})

    async def beat():
        store = AsyncStore(connect_async(settings))
        heartbeat = Heartbeat("worker", store, jobs.message_template, beating)
        heartbeat.report(worker_status)
        renewing = asyncio.create_task(heartbeat.renew_forever())
        try:
            beats = partial(jobs.store.run, queries.workers_since(0))
            await asyncio.to_thread(until, beats if folder else file.exists)
        finally:
            renewing.cancel()
            await store.close()

    asyncio.run(beat())
    assert file.exists() is not bool(folder)
