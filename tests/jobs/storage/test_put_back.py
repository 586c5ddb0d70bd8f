"""Jobs that a worker cannot run: put back uncounted for a worker that can, until their time is up."""

import json
import time

import pytest

from jobs.kinds import request_reader_id
from jobs.models import Claim
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.transitions.claim_and_renew import PUT_BACK_SECONDS
from tests.jobs.conftest import logged_events


@pytest.fixture
def foreign_job(jobs, redis_client):
    """Creates a job, and writes fields of another version into its record."""

    def create(**fields):
        job_id = jobs.create()
        if fields:
            redis_client.hset(keys.job(job_id), mapping=fields)
        return job_id

    return create


def make_due(redis_client, job_id):
    redis_client.hset(keys.job(job_id), "retry_at_ms", 1)
    redis_client.zadd(keys.WAITING, {job_id: 1})


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"needs": "chat chat.audio"}, ("chat.audio",)),
        ({"needs": "poem"}, ("poem",)),
        ({"kind": "poem", "needs": "poem chat"}, ("poem",)),
        ({"token": "x"}, ("record",)),
        ({"deadline_ms": "never"}, ("record",)),
        ({"cancel_at_ms": "1e3"}, ("record",)),
    ],
)
def test_a_job_that_needs_more_than_the_worker_has_is_put_back_uncounted(
    jobs, redis_client, foreign_job, fields, missing
):
    """No attempt, no event: a newer worker finds the job as it was created, after a wait."""
    job_id = foreign_job(**fields)

    assert jobs.claim(job_id) == transitions.Unable(missing)
    record = jobs.record(job_id)
    assert (record.state, record.attempts, record.error_code) == (State.QUEUED, 0, "no_capable_worker")
    assert logged_events(redis_client, job_id) == []
    assert redis_client.zscore(keys.WAITING, job_id) >= (time.time() + PUT_BACK_SECONDS - 2) * 1000
    assert jobs.claim(job_id).reason == "early"
    assert jobs.undelivered() == []


@pytest.mark.parametrize("field", ["needs", "kind"])
def test_a_record_without_needs_needs_its_kind(jobs, redis_client, foreign_job, field):
    """The version before wrote no needs. A record that lacks the kind too is judged by its request."""
    job_id = foreign_job()
    redis_client.hdel(keys.job(job_id), "needs", field)

    assert isinstance(jobs.claim(job_id), Claim)


def test_the_wait_grows_with_the_age_of_the_job(jobs, redis_client, foreign_job):
    """Thousands of jobs that wait for a deploy must not keep the old workers busy."""
    job_id = foreign_job(needs="poem", created_at_ms=1)
    jobs.claim(job_id)

    assert redis_client.zscore(keys.WAITING, job_id) > (time.time() + PUT_BACK_SECONDS * 5) * 1000


def test_a_worker_that_can_run_the_job_gets_it_after_the_wait(jobs, redis_client, foreign_job):
    """Recovery publishes its message again, and the claim removes the reason."""
    job_id = foreign_job(needs="poem")
    jobs.claim(job_id)
    make_due(redis_client, job_id)
    redis_client.hset(keys.job(job_id), "needs", "chat")

    jobs.report_worker()
    assert jobs.republish(job_id) == "queued"
    assert isinstance(jobs.claim(job_id), Claim)
    assert jobs.record(job_id).error_code is None


def test_a_request_that_one_worker_cannot_read_is_claimed_once_per_version(jobs, redis_client, foreign_job):
    """Each further try would add events to the log; a worker that reads requests differently may try."""
    job_id = foreign_job()
    redis_client.set(keys.request(job_id), '{"kind":"chat","message":"x","new":1}')
    unreadable = jobs.claim(job_id)
    jobs.store.run(transitions.put_back(unreadable.lease, jobs.message_template))
    make_due(redis_client, job_id)

    assert jobs.claim(job_id) == transitions.Unable(("request",))
    record = jobs.record(job_id)
    assert (record.state, record.attempts, record.failures, record.error_code) == (
        State.QUEUED,
        0,
        0,
        "request_unreadable",
    )
    assert [event["type"] for event in logged_events(redis_client, job_id)] == ["in_progress", "attempt_incomplete"]
    redis_client.hdel(keys.job(job_id), f"unreadable_by:{request_reader_id()}")  # as for another version
    make_due(redis_client, job_id)
    assert isinstance(jobs.claim(job_id), transitions.UnreadableClaim)


@pytest.fixture
def put_back(jobs, redis_client):
    """Claims a job, and puts it back since its request cannot be read."""

    def claim_and_put_back(job_id):
        redis_client.set(keys.request(job_id), "{")
        claim = jobs.claim(job_id)
        assert isinstance(claim, transitions.UnreadableClaim)
        jobs.store.run(transitions.put_back(claim.lease, jobs.message_template))

    return claim_and_put_back


def test_a_job_whose_request_cannot_be_read_must_still_start_in_time(jobs, redis_client, put_back):
    """The attempt that read nothing is no start: the caller's limit holds, and the reason is named."""
    job_id = jobs.create(jobs.new_job().model_copy(update={"start_by_seconds": 60, "cancel_after_seconds": 600}))
    put_back(job_id)
    record = jobs.record(job_id)
    assert record.started_at_ms is None
    assert redis_client.zscore(keys.DEADLINES, job_id) == record.start_by_ms

    redis_client.hset(keys.job(job_id), "start_by_ms", 1)
    redis_client.zadd(keys.DEADLINES, {job_id: 1})
    jobs.recover()
    assert (jobs.record(job_id).state, jobs.record(job_id).error_code) == (State.FAILED, "request_unreadable")


@pytest.mark.parametrize("how", ["failures", "worker_losses", "refund"])
def test_a_job_that_had_started_is_not_late_after_it_was_put_back(jobs, redis_client, put_back, how):
    """An earlier attempt has begun in time, however it ended, and its time is the job's start again."""
    job_id = jobs.create(jobs.new_job().model_copy(update={"start_by_seconds": 60, "cancel_after_seconds": 600}))
    lease = jobs.lease(job_id)
    started_at_ms = jobs.record(job_id).started_at_ms
    redis_client.zadd(keys.LEASES, {job_id: 1})
    jobs.release(lease, how=how)
    for _ in range(2):
        put_back(job_id)
        redis_client.hdel(keys.job(job_id), f"unreadable_by:{request_reader_id()}", "retry_at_ms")

    record = jobs.record(job_id)
    assert record.started_at_ms == started_at_ms
    assert redis_client.zscore(keys.DEADLINES, job_id) == record.cancel_at_ms


@pytest.mark.parametrize("code", ["no_capable_worker", "request_unreadable"])
@pytest.mark.parametrize("limit", ["deadline_ms", "start_by_ms"])
def test_a_job_that_every_worker_puts_back_fails_at_its_deadline_with_the_reason(
    jobs, redis_client, foreign_job, code, limit
):
    """Its caller learns that the versions of the deployment do not fit together."""
    job_id = foreign_job(needs="poem", error_code=code, **{limit: 1})
    redis_client.zadd(keys.DEADLINES, {job_id: 1})

    jobs.recover()

    record = jobs.record(job_id)
    assert (record.state, record.error_code) == (State.FAILED, code)
    error = json.loads(redis_client.lindex(keys.events(job_id), -1))["error"]
    assert error["code"] == code


def test_a_record_of_the_wrong_type_is_not_claimed_and_ends_at_its_deadline(jobs, redis_client, foreign_job):
    """It has no fields that a worker could read, and must not stay for ever."""
    job_id = foreign_job()
    redis_client.delete(keys.job(job_id))
    redis_client.rpush(keys.job(job_id), "x")
    assert jobs.claim(job_id) == transitions.NotClaimed("gone")
    redis_client.zadd(keys.DEADLINES, {job_id: 1})

    jobs.recover()

    assert jobs.record(job_id).state is State.CANCELLED
    assert redis_client.zscore(keys.DEADLINES, job_id) is None


def test_a_request_of_the_wrong_type_is_unreadable(jobs, redis_client):
    """The claim is complete all the same: the worker puts the job back."""
    job_id = jobs.create()
    redis_client.delete(keys.request(job_id))
    redis_client.rpush(keys.request(job_id), "x")

    assert isinstance(jobs.claim(job_id), transitions.UnreadableClaim)


@pytest.mark.parametrize(
    "fields", [{"token": "x"}, {"state": "batching"}, {"deadline_ms": "never"}, {"seq": "x", "deadline_ms": 1}]
)
def test_a_damaged_job_ends_at_its_deadline(jobs, redis_client, foreign_job, fields):
    """It must not stay for ever, and must not hide other overdue jobs."""
    job_id, other = foreign_job(**fields), foreign_job(deadline_ms=1)
    redis_client.zadd(keys.DEADLINES, {job_id: 1, other: 2})

    jobs.recover()

    assert redis_client.hget(keys.job(job_id), "state") in {b"cancelled", b"failed"}
    assert jobs.record(other).state is State.FAILED


def test_a_job_whose_request_is_lost_is_claimed_as_lost(jobs, redis_client):
    """The worker fails it: no version could run it, so it must not go round."""
    job_id = jobs.create()
    redis_client.delete(keys.request(job_id))
    claim = jobs.claim(job_id)

    assert (claim.error.code, claim.is_lost) == ("request_lost", True)
