"""All maintenance tasks together."""

from jobs import queries
from tests.tasks.maintenance.conftest import expire_lease


def _counts(redis_client, jobs):
    return (
        redis_client.llen(jobs.message_template.high_list),
        redis_client.llen(jobs.message_template.normal_list),
        jobs.store.run(queries.totals()),
    )


def test_a_second_tick_changes_nothing(jobs, tick, redis_client):
    """Every maintenance task may run twice: two workers may both believe that they are the leader."""
    expire_lease(redis_client, jobs.lease().job_id)
    jobs.release(jobs.lease(), 60)
    jobs.create()
    tick()
    before = _counts(redis_client, jobs)

    tick()
    assert _counts(redis_client, jobs) == before
