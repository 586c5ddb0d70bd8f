"""Cancel is true, on every pool: over HTTP and by Celery's own revoke, of jobs that wait and of jobs that run."""

import json
import sys
import time
from contextlib import contextmanager

import pytest

from api import create_app
from api.services import services_of
from jobs.settings import get_settings
from jobs.states import State
from jobs.storage import keys
from tests.offline import calls, directive, key
from tests.processes import running
from tests.revoke import listed_as_revoked, revoke, revoked_events, stock_client
from tests.tasks.conftest import SHORT
from tests.waiting import until

POOLS = {
    "asyncio": ["-c", "2"],
    "threads": ["-P", "threads", "-c", "2"],
    "prefork": ["-P", "prefork", "-c", "2"],
    "solo": ["-P", "solo"],  # hears of remote control between its jobs only
}
HEAR_AT_ONCE = [pool for pool in POOLS if pool != "solo"]
WAYS = {"revoke": {}, "terminate": {"terminate": True, "signal": "SIGKILL"}}
SPEAKS_THEN_FALLS_SILENT = "tokens=1000 interval=0.01 stall=5"  # so no write that is refused tells of the cancel
SAID = "w0 w1 w2 w3 w4"


@pytest.fixture(scope="module", params=POOLS)
def pool(request):
    return request.param


@pytest.fixture(scope="module")
def worker(redis_url, model_url, pool):
    """One worker of each pool, with two slots (solo: one); patient, so that only a cancel ends a call."""
    patient = {"CHATQUEUE_HEARTBEAT_SECONDS": "4", "CHATQUEUE_PROVIDER_IDLE_SECONDS": "60"}
    env = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-canary-key"}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", *POOLS[pool]]
    with running(args, ready=" ready.", env=env | SHORT | patient) as process:
        yield process


@pytest.fixture
def http(redis_url, redis_client, monkeypatch):
    """The API over the worker's Redis."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CELERY_BROKER_URL", "")
    get_settings.cache_clear()
    app = create_app()
    yield app.test_client()
    services_of(app).close()
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def stock_control(redis_url):
    with stock_client(redis_url) as app:
        yield app


def logged(redis_client, job_id):
    return [json.loads(line) for line in redis_client.lrange(keys.events(job_id), 0, -1)]


def text_of(log):
    return "".join(event["text"] for event in log if event["type"] == "delta")


def runs(client, redis_client, name):
    """The id of a job whose provider has said something, and says no more."""
    job_id = client.submit(directive(SPEAKS_THEN_FALLS_SILENT, name))
    until(lambda: text_of(logged(redis_client, job_id)) == SAID)
    return job_id


def closed_within_a_second(model_url, name, since):
    until(lambda: calls(model_url, name)["closed_early"] == 1)
    counted = calls(model_url, name)
    assert counted["last_closed_early_at"] - since < 1
    return (counted["calls"], counted["open"]) == (1, 0)


def meta(redis_client, job_id):
    return json.loads(redis_client.get(keys.result(job_id)))


def is_cancelled_with_its_text(client, redis_client, job_id):
    """In record, log and result alike."""
    log, stored = logged(redis_client, job_id), meta(redis_client, job_id)
    told = (client.record(job_id).state, log[-1]["type"], stored["status"])
    assert told == (State.CANCELLED, "cancelled", "REVOKED")
    return text_of(log) == stored["partial"]["text"] == SAID


@contextmanager
def all_slots_taken(client, redis_client, http, pool):
    """Until the end of the block; what is submitted in it stays queued."""
    fillers = [runs(client, redis_client, key()) for _ in range(1 if pool == "solo" else 2)]
    yield
    for filler in fillers:
        assert http.post(f"/api/v1/tasks/{filler}/cancel").status_code == 200


def test_a_running_job_is_stopped_within_a_second_and_stays_cancelled(
    worker, client, http, model_url, redis_client, stock_control
):
    """Its text is kept; a second cancel and a revoke change nothing."""
    name = key()
    job_id = runs(client, redis_client, name)
    answered = http.post(f"/api/v1/tasks/{job_id}/cancel")
    cancelled_at = time.time()

    assert (answered.status_code, answered.json["status"]) == (200, "cancelled")
    assert closed_within_a_second(model_url, name, cancelled_at)
    assert is_cancelled_with_its_text(client, redis_client, job_id)
    version = client.record(job_id).version
    again = http.post(f"/api/v1/tasks/{job_id}/cancel")
    assert (again.status_code, again.json["status"]) == (200, "cancelled")
    assert revoke(stock_control, job_id) == {"ok": f"cancelled: {job_id}"}
    assert client.ended(client.submit("[[offline say=next]]")).state is State.COMPLETED
    assert client.record(job_id).version == version


def test_a_running_job_that_is_deleted_is_stopped_and_forgotten(worker, client, http, model_url, redis_client):
    name = key()
    job_id = runs(client, redis_client, name)

    assert http.delete(f"/api/v1/tasks/{job_id}").status_code == 204
    assert closed_within_a_second(model_url, name, time.time())
    assert http.get(f"/api/v1/tasks/{job_id}").status_code == 404
    assert http.delete(f"/api/v1/tasks/{job_id}").status_code == 404
    assert client.ended(client.submit("[[offline say=next]]")).state is State.COMPLETED
    assert list(redis_client.scan_iter(f"*{job_id}*")) == []


def test_a_queued_job_that_is_cancelled_or_deleted_never_calls_the_provider(
    worker, pool, client, http, model_url, redis_client
):
    """Its bell is still in line, comes to a worker later, and is worth nothing."""
    cancelled, deleted = key(), key()
    with all_slots_taken(client, redis_client, http, pool):
        job_id, forgotten = (client.submit(directive("say=never", name)) for name in (cancelled, deleted))
        assert http.post(f"/api/v1/tasks/{job_id}/cancel").json["status"] == "cancelled"
        assert http.delete(f"/api/v1/tasks/{forgotten}").status_code == 204
        last = client.submit("[[offline say=last]]")

    assert client.ended(last).state is State.COMPLETED
    assert client.record(job_id).state is State.CANCELLED
    assert [calls(model_url, name)["calls"] for name in (cancelled, deleted)] == [0, 0]


def test_a_job_that_waits_for_a_retry_has_none_after_its_cancel(worker, client, http, model_url, stock_control):
    """Over HTTP and by revoke: when its time comes, nothing comes."""
    names = [key(), key()]
    job_ids = [client.submit(directive("status=429 retry_after=0.7 times=1", name)) for name in names]
    until(lambda: all(client.record(job_id).retry_at_ms for job_id in job_ids))
    assert http.post(f"/api/v1/tasks/{job_ids[0]}/cancel").json["status"] == "cancelled"
    assert revoke(stock_control, job_ids[1]) == {"ok": f"cancelled: {job_ids[1]}"}

    later = client.submit(directive("status=429 retry_after=0.7 times=1", key()))
    assert client.ended(later).attempts == 2
    assert [client.record(job_id).state for job_id in job_ids] == [State.CANCELLED, State.CANCELLED]
    assert [calls(model_url, name)["calls"] for name in names] == [1, 1]


def test_a_cancel_after_the_end_changes_nothing(worker, client, http, stock_control):
    job_id = client.submit("[[offline say=whole]]")
    ended = client.ended(job_id)
    answered = http.post(f"/api/v1/tasks/{job_id}/cancel")

    assert (answered.status_code, answered.json["status"]) == (200, "completed")
    assert revoke(stock_control, job_id, **WAYS["terminate"]) == {"ok": f"final: {job_id}"}
    assert client.record(job_id) == ended
    assert client.outcome(job_id)[0].text == "whole"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", HEAR_AT_ONCE, indirect=True)
def test_celerys_revoke_of_a_running_job_is_a_cancel(worker, client, model_url, redis_client, stock_control, way):
    """Plain or with terminate, upstream closed within a second, nothing killed; Celery's own tools see it revoked."""
    name = key()
    job_id = runs(client, redis_client, name)
    with revoked_events(stock_control) as revoked:
        assert revoke(stock_control, job_id, **WAYS[way]) == {"ok": f"cancelled: {job_id}"}
        assert closed_within_a_second(model_url, name, time.time())
        assert until(revoked) == [job_id]

    assert job_id in listed_as_revoked(stock_control)
    assert client.ended(client.submit("[[offline say=next]]")).state is State.COMPLETED
    assert is_cancelled_with_its_text(client, redis_client, job_id)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", HEAR_AT_ONCE, indirect=True)
def test_celerys_revoke_of_a_queued_job_is_a_cancel(
    worker, pool, client, http, model_url, redis_client, stock_control, way
):
    """At once, with the bell still in line; when that comes, Celery drops it and says so."""
    name = key()
    with revoked_events(stock_control) as revoked:
        with all_slots_taken(client, redis_client, http, pool):
            job_id = client.submit(directive("say=never", name))
            assert revoke(stock_control, [job_id], **WAYS[way]) == {"ok": f"cancelled: {job_id}"}
            assert client.record(job_id).state is State.CANCELLED
        assert until(revoked) == [job_id]

    stored = meta(redis_client, job_id)
    assert (stored["status"], stored["partial"]) == ("REVOKED", None)
    assert calls(model_url, name)["calls"] == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", ["solo"], indirect=True)
def test_solo_hears_of_a_revoke_between_its_jobs(worker, client, model_url, stock_control, way):
    """What ran has ended by then and stays so; what was queued is cancelled or has run to its end, never cut."""
    name = key()
    ran = client.submit("[[offline delay=0.5 say=whole]]")
    until(lambda: client.record(ran).state is State.IN_PROGRESS)
    queued = client.submit(directive("say=whole", name))
    said = revoke(stock_control, [ran, queued], **WAYS[way])["ok"]

    assert (client.record(ran).state, client.outcome(ran)[0].text) == (State.COMPLETED, "whole")
    states = {"cancelled": State.CANCELLED, "final": State.COMPLETED}
    assert f"final: {ran}" in said
    assert client.ended(queued).state is states["cancelled" if f"cancelled: {queued}" in said else "final"]
    assert calls(model_url, name) == calls(model_url, name) | {"open": 0, "closed_early": 0}
