"""Cancel and delete: what they keep, what they remove, and what they refuse."""

import pytest

from jobs import queries
from jobs.request_fingerprint import idempotency_digest
from jobs.states import FINAL_STATES, State
from jobs.storage import keys, transitions
from jobs.storage.transitions import NotClaimed
from tests.jobs.conftest import index_of


def test_cancel_of_a_queued_job_removes_it_from_the_queue(jobs, redis_client):
    """A cancelled job counts in no queue, and its message leads to no claim."""
    job_id = jobs.create()

    assert jobs.cancel(job_id) == "cancelled"
    assert index_of(redis_client, job_id) == [State.CANCELLED]
    assert redis_client.zcard(keys.messages(jobs.message_template.queue)) == 0
    assert jobs.claim(job_id) == NotClaimed("final")


def test_cancel_of_a_running_job_keeps_the_text_of_its_last_attempt(jobs):
    """The partial text is that of the last attempt, never the texts of two attempts joined."""
    first = jobs.lease()
    jobs.append(first, "lost ")
    jobs.release(first)
    second = jobs.lease(first.job_id)
    jobs.append(second, "kept ", 'ünïcödé 🎈 \\ "quoted"')

    assert jobs.cancel(first.job_id) == "cancelled"
    answer, error = jobs.store.run(queries.outcome(first.job_id))
    assert answer.text == 'kept ünïcödé 🎈 \\ "quoted"'
    assert error is None
    assert not jobs.finish(second)


@pytest.mark.parametrize("state", sorted(FINAL_STATES))
def test_cancel_of_an_ended_job_changes_nothing(jobs, state):
    """A cancel never changes a final state."""
    job_id = jobs.in_state(state)
    before = jobs.record(job_id)

    assert jobs.cancel(job_id) == ("cancelled" if state is State.CANCELLED else "final")
    assert jobs.record(job_id) == before


def test_delete_leaves_no_key_behind(jobs, redis_client):
    """A deleted job is gone from record, indexes and result backend, and its Idempotency-Key is free."""
    job_id = jobs.create(jobs.new_job(key="k"))
    jobs.fail(jobs.lease(job_id))

    assert jobs.delete(job_id) == "deleted"
    assert jobs.delete(job_id) == "gone"
    assert [key for key in redis_client.scan_iter() if job_id.encode() in key] == []
    assert index_of(redis_client, job_id) == []
    assert redis_client.zscore(keys.INDEX_ALL, job_id) is None
    assert jobs.store.run(transitions.create(jobs.new_job(key="k"), jobs.message_template, jobs.settings)).is_new


@pytest.mark.parametrize("state", [State.QUEUED, State.IN_PROGRESS])
def test_delete_of_an_active_job_is_refused(jobs, state):
    """A job that is queued or in progress must be cancelled before it can be deleted."""
    job_id = jobs.in_state(state)

    assert jobs.delete(job_id) == "active"
    assert jobs.record(job_id).state is state


def test_deleting_an_old_job_keeps_a_key_that_leads_to_a_newer_job(jobs, redis_client):
    """A key that expired and was used again belongs to the newer job."""
    first = jobs.in_state(State.FAILED)
    redis_client.hset(keys.job(first), "idempotency", idempotency_digest("k"))
    second = jobs.create(jobs.new_job(key="k"))

    assert jobs.delete(first) == "deleted"
    assert jobs.create(jobs.new_job(key="k")) == second
