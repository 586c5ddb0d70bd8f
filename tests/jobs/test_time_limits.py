"""Time limits of a job: each limit ends exactly the jobs that it applies to."""

import json

import pytest
from pydantic import ValidationError

from jobs import lookup, queries
from jobs.models import JobRecord
from jobs.requests import Limits
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant_store import default_store
from tasks.maintenance.time_limits import overdue_action
from tests.support.waiting import until

NOW = 1_000_000  # ms
LATER, EARLIER = NOW + 1, NOW - 1
SOON = 0.02  # seconds: a limit that has passed a moment later
FAR = 3_600


@pytest.fixture
def tick(jobs):
    return jobs.recover


@pytest.fixture
def create(jobs):
    """Creates a job with these limits."""

    def create(start_by=None, cancel_after=None, deadline=FAR):
        limits = {"start_by_seconds": start_by, "cancel_after_seconds": cancel_after}
        return jobs.create(jobs.new_job(deadline_seconds=deadline).model_copy(update=limits))

    return create


@pytest.fixture
def passed(jobs):
    """Waits until all short limits of the job have passed."""

    def wait(job_id):
        record = jobs.record(job_id)
        limits = [record.start_by_ms, record.cancel_at_ms, record.deadline_ms]
        last = max(limit for limit in limits if limit and limit < record.created_at_ms + 1_000)
        until(lambda: jobs.store.run(queries.server_time_ms()) >= last)

    return wait


@pytest.fixture
def let_pass(redis_client):
    """Moves a limit of the job into the past."""

    def move(job_id, limit):
        redis_client.hset(keys.job(job_id), limit, 1)
        redis_client.zadd(keys.DEADLINES, {job_id: 1}, xx=True)

    return move


def last_event(redis_client, job_id):
    return json.loads(redis_client.lindex(keys.events(job_id), -1))


def record(state, **limits):
    always = {"job_id": "job_" + "1" * 32, "kind": "chat", "tenant": "t", "queue": "q", "version": 1, "seq": 1}
    return JobRecord(**always, state=state, attempts=0, max_attempts=4, created_at_ms=1, **limits)


@pytest.mark.parametrize(
    ("state", "limits", "expected"),
    [
        (State.QUEUED, {}, None),
        (State.QUEUED, {"deadline_ms": LATER, "start_by_ms": LATER, "cancel_at_ms": LATER}, None),
        (State.QUEUED, {"deadline_ms": NOW}, "deadline_exceeded"),
        (State.QUEUED, {"start_by_ms": NOW}, "not_started_in_time"),
        (State.QUEUED, {"cancel_at_ms": NOW}, "cancel"),
        (State.QUEUED, {"start_by_ms": EARLIER, "started_at_ms": 1}, None),  # an attempt had started
        (State.QUEUED, {"deadline_ms": EARLIER, "started_at_ms": 1}, "deadline_exceeded"),
        (State.QUEUED, {"deadline_ms": EARLIER, "start_by_ms": EARLIER}, "deadline_exceeded"),
        (State.QUEUED, {"deadline_ms": LATER, "start_by_ms": EARLIER}, "not_started_in_time"),
        (State.QUEUED, {"cancel_at_ms": EARLIER, "start_by_ms": EARLIER, "deadline_ms": EARLIER}, "cancel"),
        (State.IN_PROGRESS, {"deadline_ms": EARLIER, "started_at_ms": 1}, None),  # its worker enforces the deadline
        (State.IN_PROGRESS, {"start_by_ms": EARLIER, "started_at_ms": 1}, None),
        (State.IN_PROGRESS, {"cancel_at_ms": NOW, "started_at_ms": 1}, "cancel"),
        (State.IN_PROGRESS, {"cancel_at_ms": LATER, "deadline_ms": EARLIER, "started_at_ms": 1}, None),
    ],
)
def test_recovery_decides_by_the_limits_that_have_passed(state, limits, expected):
    """A passed limit fails or cancels a job; a running job is left to its worker unless its cancellation is due."""
    end = overdue_action(record(state, **limits), NOW)

    assert (end if end is None or end == "cancel" else end.code) == expected


def test_a_job_that_is_not_started_in_time_fails(jobs, create, passed, tick, redis_client):
    """A message that arrives too late starts no attempt either."""
    job_id = create(start_by=SOON)
    passed(job_id)
    assert jobs.claim(job_id) == transitions.NotClaimed("late")

    tick()
    record = jobs.record(job_id)
    assert (record.state, record.error_code, record.attempts) == (State.FAILED, "not_started_in_time", 0)
    assert last_event(redis_client, job_id)["error"]["code"] == "not_started_in_time"
    assert redis_client.zcard(keys.DEADLINES) == 0


@pytest.mark.parametrize("how", ["failures", "worker_losses", "refund"])
def test_a_job_that_started_in_time_may_wait_for_its_next_attempt(jobs, create, let_pass, tick, redis_client, how):
    """Only the first attempt must start in time, however it ended, and even if it was not counted."""
    job_id = create(start_by=FAR)
    lease = jobs.lease(job_id)
    let_pass(job_id, "start_by_ms")
    tick()
    assert jobs.record(job_id).state is State.IN_PROGRESS
    redis_client.zadd(keys.LEASES, {job_id: 1})
    assert jobs.release(lease, how=how) is not None

    tick()
    assert jobs.record(job_id).state is State.QUEUED
    assert jobs.lease(job_id).attempt == (1 if how == "refund" else 2)


def test_a_started_job_is_checked_again_at_its_next_limit(jobs, create, redis_client):
    """A claim moves the job in the index of time limits from its start limit to the next one."""
    job_id = create(start_by=FAR / 4, cancel_after=FAR / 2)
    record = jobs.record(job_id)
    assert redis_client.zscore(keys.DEADLINES, job_id) == record.start_by_ms

    jobs.lease(job_id)
    assert redis_client.zscore(keys.DEADLINES, job_id) == record.cancel_at_ms < record.deadline_ms


def test_a_queued_job_is_cancelled_at_its_time(jobs, create, passed, tick, redis_client):
    """A queued job whose cancellation is due starts no attempt and ends as cancelled."""
    job_id = create(cancel_after=SOON)
    passed(job_id)
    assert jobs.claim(job_id) == transitions.NotClaimed("late")

    tick()
    assert jobs.record(job_id).state is State.CANCELLED
    assert last_event(redis_client, job_id) == {"type": "cancelled"}
    assert jobs.claim(job_id) == transitions.NotClaimed("final")


def test_a_job_that_waits_for_its_next_attempt_is_cancelled_at_its_time(jobs, create, let_pass, tick):
    """The wait for a retry does not postpone the cancellation."""
    job_id = create(cancel_after=FAR)
    jobs.release(jobs.lease(job_id), wait_seconds=FAR)
    let_pass(job_id, "cancel_at_ms")

    tick()
    assert jobs.record(job_id).state is State.CANCELLED


def test_a_running_job_is_cancelled_at_its_time_and_its_worker_is_notified(jobs, create, let_pass, tick, redis_client):
    """Text and usage are kept; the worker is notified immediately by message, or else by its heartbeat."""
    job_id = create(cancel_after=FAR)
    lease = jobs.lease(job_id)
    jobs.append(lease, "half an ", "ans")
    let_pass(job_id, "cancel_at_ms")
    with redis_client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(keys.CANCELLED_CHANNEL)
        channel.get_message(timeout=5)
        tick()
        notification = until(lambda: channel.get_message(timeout=1))

    view = lookup.view(default_store(jobs.store), job_id)
    assert (view.record.state, view.answer.text) == (State.CANCELLED, "half an ans")
    assert view.answer.usage == view.record.usage
    assert view.record.usage.estimated
    assert notification["data"].decode() == job_id
    assert jobs.renew(lease) == {job_id}
    assert not jobs.finish(lease)


def test_limits_that_pass_after_the_end_change_nothing(jobs, create, let_pass, tick, redis_client):
    """A limit that passes after the end never changes a final state."""
    job_id = create(start_by=FAR, cancel_after=FAR)
    assert jobs.finish(jobs.lease(job_id))
    for limit in ("start_by_ms", "cancel_at_ms", "deadline_ms"):
        let_pass(job_id, limit)

    tick()
    assert jobs.record(job_id).state is State.COMPLETED
    assert redis_client.zcard(keys.DEADLINES) == 0


@pytest.mark.parametrize("name", ["deadline_seconds", "start_by_seconds", "cancel_after_seconds"])
@pytest.mark.parametrize("value", ["0", "-1", "604801", "true", '"5"', "1e999"])
def test_a_limit_that_is_not_a_valid_duration_is_refused(name, value):
    """Zero, negative, excessive and non-numeric limits are refused by the name of their field."""
    with pytest.raises(ValidationError) as refused:
        Limits.model_validate_json(f'{{"{name}": {value}}}')

    assert refused.value.errors()[0]["loc"] == (name,)
