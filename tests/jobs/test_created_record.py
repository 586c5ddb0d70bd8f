"""The record that create returns, and its queue position and estimated wait: the same as when they are read back."""

import pytest

from jobs import lookup
from jobs.kinds.chat import ChatTask
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.tenant_store import default_store

FAR = 3_600


@pytest.fixture(autouse=True)
def taker(jobs):
    """A worker takes jobs: without one there is no estimate."""
    jobs.report_worker()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"start_by_seconds": 5.5},
        {"cancel_after_seconds": 7.25},
        {"idempotency_key": "order-1"},
        {
            "start_by_seconds": 0.001,
            "cancel_after_seconds": 604_800,
            "deadline_seconds": 0.5,
            "max_attempts": 50,
            "idempotency_key": "order-2",
            "request": ChatTask(kind="chat", message="ä" * 500, model="model-x", metadata={"a": "b"}),
        },
    ],
)
@pytest.mark.parametrize("ahead", [0, 3])
def test_the_record_that_create_returns_is_the_record_that_is_read_back(jobs, options, ahead):
    """This holds with all options, for a single job and behind others, and with a known rate."""
    for _ in range(ahead):
        jobs.finish(jobs.lease())
    for _ in range(ahead):
        jobs.create()
    created = jobs.store.run(
        transitions.create(jobs.new_job().model_copy(update=options), jobs.message_template, jobs.settings)
    )
    read = lookup.record(default_store(jobs.store), created.job_id)

    assert without_estimate(created.record) == without_estimate(read)
    assert created.record.queue_position == ahead
    assert (created.record.estimated_wait_ms == 0) == (read.estimated_wait_ms == 0) == (ahead == 0)


def test_the_record_that_create_returns_for_a_retry_is_the_record_that_is_read_back(jobs):
    """The reference to the failed job is in both."""
    again = jobs.new_job().model_copy(update={"retry_of": jobs.in_state(State.FAILED)})
    created = jobs.store.run(transitions.create(again, jobs.message_template, jobs.settings))

    assert created.record == lookup.record(default_store(jobs.store), created.job_id)


def without_estimate(record):
    """The estimate changes from one moment to the next."""
    return record.model_copy(update={"estimated_wait_ms": None})


@pytest.mark.parametrize(
    ("this_minute", "minute_before", "waits"),
    [
        ({}, {}, [0, None, None]),  # no job has ended
        ({"completed": 60}, {}, [0, 500, 1_000]),  # 60 in the 30 s since it began
        ({"completed": 15, "failed": 5, "incomplete": 5, "cancelled": 5}, {}, [0, 1_000, 2_000]),
        ({"completed": 30}, {"completed": 60}, [0, 1_000, 2_000]),  # 90 in 90 s
        ({}, {"completed": 30}, [0, 3_000, 6_000]),  # nothing yet in this one: 30 in 90 s
        ({"created": 60, "failures": 60}, {}, [0, None, None]),  # nothing has ended
    ],
)
def test_the_estimate_follows_the_rate_at_which_jobs_have_ended(
    jobs, redis_client, monkeypatch, this_minute, minute_before, waits
):
    """For three queued jobs, half a minute into the current minute. A create and a later read agree."""
    names = [keys.minute(7), keys.minute(6)]
    monkeypatch.setattr(keys, "throughput", lambda _: (names, 30_000))
    for name, counts in zip(names, (this_minute, minute_before), strict=True):
        if counts:
            redis_client.hset(name, mapping=counts)

    created = [
        jobs.store.run(transitions.create(jobs.new_job(), jobs.message_template, jobs.settings)).record for _ in waits
    ]
    read = [lookup.record(default_store(jobs.store), record.job_id) for record in created]
    assert [record.estimated_wait_ms for record in created] == waits
    assert [record.estimated_wait_ms for record in read] == waits


def test_without_a_worker_that_takes_jobs_there_is_no_estimate(jobs):
    """The rate of a minute ago says nothing while nobody takes; a worker that takes again brings the estimate back."""
    job_id = jobs.create()

    assert lookup.record(default_store(jobs.store), job_id).estimated_wait_ms == 0
    jobs.report_worker(takes_jobs=False)
    read = [
        lookup.record(default_store(jobs.store), job_id),
        lookup.details(default_store(jobs.store), job_id).record,
        lookup.view(default_store(jobs.store), job_id).record,
        *lookup.records(default_store(jobs.store), [job_id]).records,
    ]
    assert [(record.queue_position, record.estimated_wait_ms) for record in read] == [(0, None)] * 4
    jobs.report_worker(name="worker-2")
    assert lookup.record(default_store(jobs.store), job_id).estimated_wait_ms == 0


def test_a_job_without_a_message_has_no_position_and_no_estimate(jobs):
    """Neither a running job nor one that waits for a retry has a queue position."""
    running, waiting = jobs.lease().job_id, jobs.create()
    jobs.release(jobs.lease(waiting), wait_seconds=FAR)

    for job_id in (running, waiting):
        read = lookup.record(default_store(jobs.store), job_id)
        assert (read.queue_position, read.estimated_wait_ms) == (None, None)
