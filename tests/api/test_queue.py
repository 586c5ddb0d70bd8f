"""Stats and health are correct, at a cost that does not grow with the number of jobs."""

import json

import pytest

from jobs.storage import keys, transitions
from jobs.storage.keys import DEFAULT_QUEUE
from tests.support.workers import worker_status


def test_stats_count_by_state_and_reason(api_client, submit_chat, fake_worker):
    """Each job is counted in its state. A waiting job counts as published, or as waiting for its next attempt."""
    fake_worker.heartbeat(slots=10)
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
    assert stats["queues"] == [{"name": DEFAULT_QUEUE, "depth": 2, "published": 2}]
    assert stats["waiting_for_retry"] == 1
    assert stats["oldest_queued_seconds"] >= 0
    assert (stats["workers_alive"], stats["workers"]) == (1, [dict(worker_status())])
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
    monkeypatch.setattr("jobs.queue_stats.time.time", lambda: 600.0)
    for minute, created in [(10, 1000), (9, 5), (5, 10), (4, 1000)]:
        store.hset(f"cq:minute:{minute}", "created", created)

    assert api_client.get("/api/v1/queue/stats").json["rates_per_minute"]["created"] == 3.0


@pytest.mark.parametrize("path", ["/api/v1/queue/stats", "/api/v1/tasks?limit=20", "/health"])
def test_the_number_of_commands_does_not_grow_with_the_number_of_jobs(
    api_client, submit_chat, api_services, fake_worker, path
):
    """Redis counts its commands: the same for 30 and for 300 jobs."""
    counts = []
    fake_worker.heartbeat(slots=1_000)
    api_services.store._client.hset(keys.target("main/gpt-5-mini"), "starts", 10_000)  # its pace is not limited
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
    assert (together.status_code, together.json["status"], together.json["workers"]) == (
        200,
        "ok",
        [dict(worker_status())],
    )
    assert (alone.json["reason"], together.json["reason"]) == ("no worker is alive", None)
    assert together.json["queued"] == 1
    assert together.json["redis"]["ok"] is True
    assert together.json["redis"]["latency_ms"] > 0


@pytest.mark.parametrize(
    ("takes_jobs", "free_slots", "waiting", "status"),
    [(False, 2, 1, "degraded"), (False, 2, 0, "ok"), (True, 0, 1, "ok"), (True, 2, 0, "ok")],
)
def test_health_is_degraded_while_jobs_wait_and_no_worker_takes_them(
    api_client, fake_worker, submit_chat, takes_jobs, free_slots, waiting, status
):
    """A worker that is alive but takes nothing is no reason for `ok`; one whose slots are all busy is."""
    for _ in range(waiting):
        submit_chat()
    fake_worker.heartbeat(takes_jobs=takes_jobs, free_slots=free_slots)
    health = api_client.get("/health").json

    reason = "no worker takes jobs, and the number of queued jobs is 1" if status == "degraded" else None
    assert (health["status"], health["reason"], health["workers_alive"]) == (status, reason, 1)


def test_one_worker_that_takes_jobs_is_enough(api_client, fake_worker, submit_chat):
    """Of two workers one has been told to take nothing: jobs still start."""
    submit_chat()
    fake_worker.heartbeat(takes_jobs=False)
    fake_worker.heartbeat(name="worker-2")

    assert api_client.get("/health").json["status"] == "ok"


def test_the_estimate_is_null_while_no_worker_takes_jobs(api_client, fake_worker, submit_chat):
    """In the answer to the submit, too: a client must not be told to wait 0 seconds for nobody."""
    fake_worker.heartbeat()
    known = api_client.post("/api/v1/tasks", json={"kind": "chat", "message": "hi"}).json
    fake_worker.heartbeat(takes_jobs=False)
    unknown = api_client.post("/api/v1/tasks", json={"kind": "chat", "message": "hi"}).json

    assert known["estimated_wait_seconds"] == 0.0
    assert (unknown["queue_position"], unknown["estimated_wait_seconds"]) == (1, None)
    listed = api_client.get("/api/v1/tasks").json["tasks"]
    assert {task["estimated_wait_seconds"] for task in listed} == {None}


def test_workers_of_other_versions_are_listed_with_what_is_known(api_client, fake_worker, api_services):
    """Unknown fields are ignored, and unreadable ones are null: the worker is alive all the same."""
    fake_worker.heartbeat(name="worker-2")
    client = api_services.store._client
    newer = worker_status(name="worker-3").model_dump() | {"colour": "red", "slots": "many"}
    for name, report in (("worker-1", "[]"), ("worker-3", json.dumps(newer))):
        client.zadd(keys.WORKERS, {name: client.time()[0] * 1000})
        client.hset(keys.WORKER_STATUSES, name, report)

    stats = api_client.get("/api/v1/queue/stats").json
    unknown = dict.fromkeys(("host", "version", "takes_jobs", "slots", "free_slots"))
    assert sorted(stats["workers"], key=lambda worker: worker["name"]) == [
        {"name": "worker-1", **unknown},
        dict(worker_status(name="worker-2")),
        dict(worker_status(name="worker-3")) | {"slots": None},
    ]


def test_workers_of_the_previous_version_are_alive(api_client, submit_chat, api_services):
    """They send heartbeats without a report. A new web process must not call the service degraded in mid-deploy."""
    submit_chat()
    client = api_services.store._client
    client.zadd(keys.WORKERS, {"host:1": client.time()[0] * 1000})

    health = api_client.get("/health").json
    assert (health["status"], health["reason"], health["workers_alive"]) == ("ok", None, 1)
    assert health["workers"][0]["name"] == "host:1"


def test_the_readiness_check_succeeds(api_client):
    """The response is 200 while Redis accepts writes."""
    assert (api_client.get("/health/ready").status_code, api_client.get("/health/ready").json) == (
        200,
        {"status": "ok"},
    )


def test_every_response_has_a_request_id_of_its_own(api_client):
    """Without an id from the caller each request has a new one."""
    ids = {api_client.get(path).headers["X-Request-Id"] for path in ["/health/live", "/docs", "/nowhere", "/"]}

    assert len(ids) == 4


def test_stats_and_providers_show_what_jobs_wait_for(api_client, api_services, fake_worker, submit_chat):
    """A target that refuses calls is closed. The jobs behind it are counted by model and lane, with the time."""
    fake_worker.heartbeat(slots=1)
    store = api_services.store
    store.run(transitions.configure_targets({}, {"main/gpt-5-mini": {"requests_per_minute": 60}}))
    store.run(transitions.note_fault("main/gpt-5-mini", "rate_limited", 60.0))
    job_id = submit_chat()

    (pool,) = api_client.get("/api/v1/queue/stats").json["pools"]
    assert (pool["pool"], pool["lane"], pool["queued"]) == ("gpt-5-mini", "interactive", 1)
    assert pool["waiting_for"] == "provider_rate_limit"
    task = api_client.get(f"/api/v1/tasks/{job_id}").json
    assert (task["waiting_for"], task["waiting_until"]) == ("provider_rate_limit", pool["waiting_until"])
    (target,) = api_client.get("/api/v1/providers").json["targets"]
    assert (target["name"], target["is_open"], target["closed_reason"]) == (
        "main/gpt-5-mini",
        False,
        "provider_rate_limit",
    )
    assert (target["requests_per_minute"], target["requests_source"], target["running"]) == (60, "configured", 0)
