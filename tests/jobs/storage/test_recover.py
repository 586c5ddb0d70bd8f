"""The transitions of recovery: they act only on lost messages and lost workers."""

import pytest

from jobs.models import Lease
from jobs.states import State
from jobs.storage import keys


def test_republish_publishes_for_a_due_job_once(jobs, redis_client):
    """A job whose wait is over gets exactly one message."""
    jobs.report_worker()
    lease = jobs.lease()
    jobs.release(lease, 0.001)
    while (answer := jobs.republish(lease.job_id)) == "early":
        pass

    assert answer == "queued"
    assert jobs.republish(lease.job_id) == "early"
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 1
    assert jobs.lease(lease.job_id).attempt == 2


def test_a_lost_message_is_found_and_a_long_queue_is_not_mistaken_for_one(jobs, redis_client):
    """A message is lost when a later one led to a claim or when none is left; a job behind others only waits."""
    first, second, third = jobs.create(), jobs.create(), jobs.create()
    assert jobs.undelivered() == []

    jobs.lease(second)
    assert jobs.undelivered() == [first]
    redis_client.delete(jobs.message_template.normal_list)
    assert jobs.undelivered() == [first, third]
    assert jobs.undelivered(messages_left=1) == [first]
    assert jobs.undelivered(messages_left=0) == [first, third]


def test_a_lost_message_is_republished_only_when_it_is_old(jobs, redis_client):
    """A young message may still be under way; an old one is replaced once, before the backlog."""
    job_id = jobs.create()

    assert jobs.republish(job_id, lost_after_seconds=3_600) == "early"
    while (answer := jobs.republish(job_id, lost_after_seconds=0.01)) == "early":
        pass
    assert answer == "republished"
    assert jobs.republish(job_id, lost_after_seconds=3_600) == "early"
    assert redis_client.llen(jobs.message_template.high_list) == 1
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0


def test_recovery_releases_only_an_expired_lease(jobs, redis_client):
    """A live holder keeps its job. A lost worker's job is queued again, and the attempt and the loss are counted."""
    lease = jobs.lease()

    assert jobs.release(lease, 0, "worker_losses") is None
    assert jobs.record(lease.job_id).state is State.IN_PROGRESS
    redis_client.zadd(keys.LEASES, {lease.job_id: 1})
    assert jobs.release(lease, 0, "worker_losses") is not None
    record = jobs.record(lease.job_id)
    assert (record.state, record.attempts, record.worker_losses, record.failures) == (State.QUEUED, 1, 1, 0)


@pytest.mark.parametrize(("precondition", "state"), [("expired", State.IN_PROGRESS), ("queued", State.QUEUED)])
def test_recovery_fails_only_jobs_that_meet_its_precondition(jobs, redis_client, precondition, state):
    """Recovery may fail a job with an expired lease, or a queued one, under the record's token, and no other job."""
    for other in State:
        job_id = jobs.in_state(other)
        if other is State.IN_PROGRESS:
            redis_client.zadd(keys.LEASES, {job_id: 1})
        lease = Lease(
            job_id=job_id, queue=jobs.message_template.queue, token=jobs.record(job_id).token, attempt=1, log_length=0
        )
        ended = jobs.fail(lease, precondition)
        assert ended == (other in {state, State.FAILED})
        assert jobs.record(job_id).state is (State.FAILED if other is state else other)
