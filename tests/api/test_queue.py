"""Stats and health are correct, at a cost that does not grow with the number of jobs."""

import pytest

from jobs.storage.keys import DEFAULT_QUEUE


def test_stats_count_by_state_and_priority(api_client, submit_chat, fake_worker):
    """Each job is counted in its state, and each waiting job in its priority."""
    ids = [submit_chat() for _ in range(6)]
    fake_worker.claim(ids[0])
    fake_worker.complete(ids[1])
    fake_worker.fail(ids[2])
    fake_worker.release_for_retry(ids[3], 60)
    fake_worker.release_for_retry(ids[4], 0)
    fake_worker.heartbeat()

    stats = api_client.get("/api/v1/queue/stats").json

    assert stats["counts"] == {
        "queued": 3,
        "in_progress": 1,
        "completed": 1,
        "incomplete": 0,
        "failed": 1,
        "cancelled": 0,
    }
    assert stats["queues"] == [{"name": DEFAULT_QUEUE, "depth": 2, "high": 1}]
    assert stats["waiting_for_retry"] == 1
    assert stats["oldest_queued_seconds"] >= 0
    assert (stats["workers_alive"], stats["workers"]) == (1, ["worker-1"])
    assert (stats["totals"]["created"], stats["totals"]["completed"]) == (6, 1)
    assert stats["rates_per_minute"].keys() == {"created", "completed", "failed"}


def test_stats_of_an_empty_queue(api_client):
    """Counts are zero and not missing, and the oldest wait is null."""
    stats = api_client.get("/api/v1/queue/stats").json

    assert set(stats["counts"].values()) == {0}
    assert (stats["oldest_queued_seconds"], stats["workers_alive"], stats["totals"]) == (None, 0, {})


def test_rates_cover_full_minutes(api_client, api_services, monkeypatch):
    """The current minute does not count, since it has not ended."""
    store = api_services.store._client
    monkeypatch.setattr("jobs.lookup.time.time", lambda: 600.0)
    for minute, created in [(10, 1000), (9, 5), (5, 10), (4, 1000)]:
        store.hset(f"cq:minute:{minute}", "created", created)

    assert api_client.get("/api/v1/queue/stats").json["rates_per_minute"]["created"] == 3.0


@pytest.mark.parametrize("path", ["/api/v1/queue/stats", "/api/v1/tasks?limit=20", "/health"])
def test_the_number_of_commands_does_not_grow_with_the_number_of_jobs(api_client, submit_chat, api_services, path):
    """Redis counts its commands: the same for 30 and for 300 jobs."""
    counts = []
    for more in (30, 270):
        for _ in range(more):
            submit_chat()
        api_client.get(path)
        counts.append(_commands(api_services, lambda: api_client.get(path)))

    assert counts[0] == counts[1]


def _commands(services, call):
    client = services.store._client
    client.config_resetstat()
    assert call().status_code == 200
    stats = client.info("commandstats")
    return {name: stat["calls"] for name, stat in stats.items() if "config" not in name and "info" not in name}


def test_health_is_ok_with_a_worker_and_degraded_without(api_client, fake_worker, submit_chat):
    """A worker counts as alive while its heartbeat is recent."""
    submit_chat()
    alone = api_client.get("/health")
    fake_worker.heartbeat()
    together = api_client.get("/health")

    assert (alone.status_code, alone.json["status"], alone.json["workers_alive"]) == (200, "degraded", 0)
    assert (together.status_code, together.json["status"], together.json["workers"]) == (200, "ok", ["worker-1"])
    assert together.json["queued"] == 1
    assert together.json["redis"]["ok"] is True
    assert together.json["redis"]["latency_ms"] > 0


def test_the_readiness_check_succeeds(api_client):
    """The response is 200 while Redis accepts writes."""
    assert (api_client.get("/health/ready").status_code, api_client.get("/health/ready").json) == (
        200,
        {"status": "ok"},
    )


def test_every_response_has_a_request_id_of_its_own(api_client):
    """A caller's own id is never used, since the id is logged."""
    ids = {api_client.get(path).headers["X-Request-Id"] for path in ["/health/live", "/docs", "/nowhere", "/"]}

    assert len(ids) == 4
