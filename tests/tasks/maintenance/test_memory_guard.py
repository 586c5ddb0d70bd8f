"""Redis reserves memory for the running jobs."""

from jobs.storage import keys


def test_a_nearly_full_redis_accepts_no_new_jobs(tick, redis_client):
    """Submits are refused before Redis has no memory left for the answers of running jobs."""
    used = redis_client.info("memory")["used_memory"]
    redis_client.config_set("maxmemory", int(used * 1.1))
    try:
        tick()
        assert redis_client.exists(keys.FULL)
    finally:
        redis_client.config_set("maxmemory", 0)
