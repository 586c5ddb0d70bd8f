"""The server's configuration: hazards are reported, and a nearly full server refuses submits before it is full."""

import pytest

from jobs.errors import QueueFull
from jobs.storage import transitions
from jobs.storage.server_info import ServerInfo, server_info

SAFE = ServerInfo(
    run_id="a", used_bytes=80, maxmemory_bytes=100, maxmemory_policy="noeviction", has_append_only_file=True
)


def test_the_embedded_server_has_no_hazards(store):
    """The server that `make up` starts loses no accepted job."""
    assert store.run(server_info()).hazards("disk") == ()


@pytest.mark.parametrize(
    ("change", "durability", "advice"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "auto", "noeviction"),
        ({"has_append_only_file": False}, "auto", "appendonly yes"),
        ({"redis_version": (6, 2, 14)}, "auto", "7.0"),
        ({"has_append_only_file": False}, "disk", "CHATQUEUE_DURABILITY=disk"),
        ({"redis_version": (7, 0, 15)}, "disk", "7.2"),
        ({"is_replica": True}, "auto", "address of its primary"),
        ({"is_cluster": True}, "auto", "cluster mode"),
        ({"replicas": 1}, "replicas=2", "CHATQUEUE_DURABILITY=replicas=2"),
    ],
)
def test_a_hazard_names_the_setting_to_change(change, durability, advice):
    """Each hazard contains the value that removes it."""
    (hazard,) = SAFE.model_copy(update=change).hazards(durability)
    assert advice in hazard


def test_fullness_counts_only_against_a_limit():
    """Without maxmemory no amount of data counts as nearly full."""
    assert SAFE.is_fuller_than(79)
    assert not SAFE.is_fuller_than(80)
    assert not SAFE.model_copy(update={"maxmemory_bytes": 0}).is_fuller_than(1)


def test_while_redis_is_nearly_full_submits_are_refused_and_accepted_jobs_finish(jobs, redis_client):
    """Memory is reserved for accepted jobs, which can still be claimed and finished."""
    job_id = jobs.create()
    jobs.store.run(transitions.refuse_submits(60))

    with pytest.raises(QueueFull) as refused:
        jobs.create()
    assert refused.value.retry_after_seconds > 0
    assert jobs.finish(jobs.lease(job_id))
