"""Every queued job that is due has a message, and no job gets a second one while its first still waits."""

import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from jobs import queries
from jobs.states import State
from jobs.storage import keys
from tasks import app
from tasks.queue_message import make_message_template
from tests.support.waiting import until
from tests.tasks.maintenance.conftest import (
    expire_lease,
    make_message_old,
    publish_everything,
    published_ids,
    republished_ids,
)


def test_a_due_retry_gets_its_message_and_an_early_one_waits(jobs, tick, redis_client):
    """A retry is published when its wait is over, and not before."""
    due, early = jobs.lease(), jobs.lease()
    redis_client.delete(jobs.message_template.normal_list)
    jobs.release(due, 0.001)
    jobs.release(early, 60)
    until(lambda: jobs.store.run(queries.server_time_ms()) > jobs.record(due.job_id).retry_at_ms)

    tick()
    assert published_ids(redis_client, jobs) == [due.job_id]


def test_a_lost_message_is_published_again_and_a_waiting_one_is_not(jobs, tick, redis_client):
    """The first job was overtaken by the second, so its message is lost; the third only waits its turn."""
    first, second, third = (jobs.create() for _ in range(3))
    jobs.lease(second)
    for job_id in (first, third):
        make_message_old(redis_client, job_id)

    tick()
    assert republished_ids(redis_client, jobs) == [first]


def test_a_long_queue_gets_no_duplicate_messages(jobs, tick, redis_client):
    """However old its message is, a job that waits behind others gets no second one."""
    publish_everything(redis_client, jobs)
    waiting = [jobs.create() for _ in range(300)]
    for job_id in waiting:
        make_message_old(redis_client, job_id)
    for job_id in waiting[:20]:
        redis_client.rpop(jobs.message_template.normal_list)
        jobs.lease(job_id)
        redis_client.zadd(keys.LEASES, {job_id: "+inf"})
        tick()

    assert redis_client.llen(jobs.message_template.high_list) == 0
    assert redis_client.llen(jobs.message_template.normal_list) == 280


def test_jobs_whose_messages_are_all_gone_are_all_found(jobs, tick, redis_client):
    """Even if the broker lost every message, the first worker that starts finds every accepted job."""
    publish_everything(redis_client, jobs)
    job_ids = [jobs.create() for _ in range(30)]
    redis_client.delete(jobs.message_template.normal_list)
    for job_id in job_ids:
        make_message_old(redis_client, job_id)

    tick()
    assert sorted(republished_ids(redis_client, jobs)) == sorted(job_ids)


@pytest.fixture
def hanging_broker() -> Iterator[str]:
    """The URL of a broker that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}//"


def test_a_broker_that_hangs_stops_no_other_task(jobs, redis_client, hanging_broker):
    """The tick ends, and does everything that needs no broker: a job of a dead worker is queued again."""
    jobs.settings = jobs.settings.model_copy(update={"celery_broker_url": SecretStr(hanging_broker)})
    jobs.message_template = make_message_template(app, jobs.settings)
    waiting = jobs.create()
    make_message_old(redis_client, waiting)
    lease = jobs.lease()
    expire_lease(redis_client, lease.job_id)

    jobs.recover()
    assert jobs.record(lease.job_id).state is State.QUEUED
    assert jobs.record(waiting).state is State.QUEUED
