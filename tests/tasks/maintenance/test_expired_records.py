"""The indexes do not keep entries of expired records."""

from jobs.states import State
from jobs.storage import keys
from tests.support.waiting import until


def test_an_expired_record_leaves_every_index(jobs, tick, redis_client):
    """Redis expires the record by itself, but not the entries that point to it."""
    jobs.settings = jobs.settings.model_copy(update={"result_ttl_seconds": 1, "events_ttl_seconds": 1})
    job_id = jobs.in_state(State.COMPLETED)
    until(lambda: not redis_client.exists(keys.job(job_id)))

    tick()
    index_keys = [key for key in redis_client.scan_iter() if redis_client.type(key) == b"zset"]
    assert [key for key in index_keys if redis_client.zscore(key, job_id) is not None] == []
