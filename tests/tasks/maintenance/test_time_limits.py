"""A time limit ends the job even when no worker ever takes it."""

from jobs import queries
from jobs.states import State
from jobs.storage import keys
from tests.support.waiting import until


def test_a_queued_job_past_its_deadline_fails(jobs, tick, redis_client):
    """A job that no worker takes must not stay queued forever."""
    job_id = jobs.create(jobs.new_job(deadline_seconds=0.001))
    until(lambda: jobs.store.run(queries.overdue(jobs.store.run(queries.server_time_ms()), 10)))

    tick()
    record = jobs.record(job_id)
    assert (record.state, record.error_code) == (State.FAILED, "deadline_exceeded")
    assert redis_client.zcard(keys.DEADLINES) == 0
