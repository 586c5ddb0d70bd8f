"""create: one job, one message and one record for each request, however often it is sent."""

import json

import pytest

from jobs.errors import IdempotencyConflict, JobNotFound, QueueFull
from jobs.kinds.chat import ChatTask
from jobs.request_fingerprint import fingerprint
from jobs.states import State
from jobs.storage import keys, transitions
from tests.jobs.conftest import index_of


def test_create_writes_record_index_counts_and_message_in_one_step(jobs, redis_client):
    """After a create the job has a record, an index entry and a count, and its message waits for a worker."""
    job_id = jobs.create(jobs.new_job(message="first words of a prompt"))

    record = jobs.record(job_id)
    assert (record.state, record.attempts, record.version) == (State.QUEUED, 0, 1)
    assert record.preview == "first words of a prompt"
    assert index_of(redis_client, job_id) == [State.QUEUED]
    assert redis_client.hget(keys.TOTALS, "created") == b"1"
    message = json.loads(redis_client.lindex(jobs.message_template.normal_list, -1))
    assert message["id"] == job_id
    assert message["tag"] != job_id


def test_create_twice_with_one_id_creates_once(jobs, redis_client):
    """A create whose reply was lost may be sent again: it leads to one job and one message."""
    job = jobs.new_job()

    assert jobs.create(job) == jobs.create(job) == job.job_id
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_same_key_and_body_create_one_job(jobs, redis_client):
    """A repeated Idempotency-Key returns the job that its first use created."""
    first = jobs.create(jobs.new_job(key="k"))

    again = jobs.store.run(transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings))
    assert again == transitions.Created(first)
    assert redis_client.llen(jobs.message_template.normal_list) == 1


def test_the_same_key_with_another_body_is_refused(jobs):
    """An Idempotency-Key belongs to one request, so another request with the same key is a conflict."""
    jobs.create(jobs.new_job(key="k"))

    with pytest.raises(IdempotencyConflict) as refused:
        jobs.create(jobs.new_job(key="k", message="another"))
    assert refused.value.param == "Idempotency-Key"


def test_a_full_queue_writes_nothing(jobs, redis_client):
    """Above the limit a create is refused with a Retry-After, and writes no key."""
    jobs.settings = jobs.settings.model_copy(update={"max_queued": 2})
    jobs.create()
    jobs.create()
    before = redis_client.dbsize()

    with pytest.raises(QueueFull) as refused:
        jobs.create()
    assert refused.value.retry_after_seconds > 0
    assert redis_client.dbsize() == before


def test_a_retry_creates_one_new_job_that_the_failed_job_refers_to(jobs):
    """The failed job stays failed, both jobs refer to each other, and a second retry finds the first."""
    failed = jobs.in_state(State.FAILED)
    repeat = jobs.new_job().model_copy(update={"retry_of": failed})
    again = jobs.new_job().model_copy(update={"retry_of": failed})

    assert jobs.create(repeat) == jobs.create(again) == repeat.job_id
    assert jobs.record(repeat.job_id).retry_of == failed
    assert (jobs.record(failed).state, jobs.record(failed).retried_as) == (State.FAILED, repeat.job_id)


def test_a_retry_of_a_deleted_job_creates_nothing(jobs, redis_client):
    """A retry that races with a delete must not leave a partial record, which would never expire."""
    failed = jobs.in_state(State.FAILED)
    jobs.delete(failed)
    before = redis_client.dbsize()

    with pytest.raises(JobNotFound):
        jobs.create(jobs.new_job().model_copy(update={"retry_of": failed}))
    assert redis_client.dbsize() == before


def test_a_resent_call_finds_the_same_job_after_a_lost_reply(jobs):
    """An equal call that creates a job in between does not divert the resent call."""

    def call(resend_count):
        return jobs.new_job(key="k").model_copy(update={"resend_count": resend_count})

    again = call(1)
    jobs.create(call(0))
    found = jobs.create(again)
    jobs.create(call(0))

    assert jobs.create(again) == found


def test_the_order_of_names_and_empty_values_do_not_change_the_fingerprint(jobs):
    """Two spellings of one request under one Idempotency-Key are one request."""
    request = {"kind": "chat", "message": "m"}
    first = ChatTask.model_validate(request | {"metadata": {"a": "1", "b": "2"}, "limits": {}})
    other = ChatTask.model_validate(request | {"metadata": {"b": "2", "a": "1"}})

    assert fingerprint(first) == fingerprint(other)
    assert fingerprint(first) != fingerprint(ChatTask.model_validate(request))


def test_a_temperature_of_zero_changes_the_fingerprint():
    """Zero is a value; only empty objects and lists count as absent."""
    request = {"kind": "chat", "message": "m"}

    assert fingerprint(ChatTask.model_validate(request | {"temperature": 0.0})) != fingerprint(
        ChatTask.model_validate(request)
    )


def test_workers_of_the_previous_version_get_every_job_at_once(jobs, redis_client):
    """They report no slots where jobs wait and dispatch nothing: a job in a line would wait for ever."""
    redis_client.zadd(keys.TAKERS, {"previous": 10**13})

    for _ in range(100):
        jobs.create()
    assert redis_client.llen(jobs.message_template.normal_list) == 100


def test_beside_a_worker_of_the_previous_version_no_job_waits_for_a_slot(jobs, redis_client):
    """It may survive the last worker that dispatches: the jobs in lines are published as soon as it takes jobs."""
    published = jobs.message_template.normal_list
    jobs.report_worker(slots=1)
    for _ in range(100):
        jobs.create()
    assert redis_client.llen(published) < 10

    redis_client.zadd(keys.TAKERS, {"previous": 10**13})
    for _ in range(2):
        jobs.report_worker(slots=1)
    jobs.create()
    assert redis_client.llen(published) == 101

    redis_client.delete(keys.TAKERS)
    jobs.report_worker(slots=1)
    jobs.create()
    assert redis_client.llen(published) == 101
