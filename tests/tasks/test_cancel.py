"""A cancel stops the job on every pool: over HTTP and by Celery's revoke, while queued and while running."""

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
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.support.remote_control import revoke, revoked_events, revoked_ids, stock_client
from tests.support.waiting import until
from tests.tasks.conftest import SHORT

POOLS = {
    "asyncio": ["-c", "2"],
    "threads": ["-P", "threads", "-c", "2"],
    "prefork": ["-P", "prefork", "-c", "2"],
    "solo": ["-P", "solo"],  # receives remote control only between its jobs
}
POOLS_WITH_REMOTE_CONTROL = [pool for pool in POOLS if pool != "solo"]
WAYS = {"revoke": {}, "terminate": {"terminate": True, "signal": "SIGKILL"}}
STREAMS_THEN_STALLS = "tokens=1000 interval=0.01 stall=5"  # so no refused write reveals the cancel
PARTIAL_TEXT = "w0 w1 w2 w3 w4"


@pytest.fixture(scope="module", params=POOLS)
def pool(request):
    return request.param


@pytest.fixture(scope="module")
def worker(redis_url, model_url, pool, processes):
    """One worker of each pool, with two slots (solo: one) and long timeouts, so that only a cancel ends a call."""
    long_timeouts = {"CHATQUEUE_HEARTBEAT_SECONDS": "4", "CHATQUEUE_PROVIDER_IDLE_SECONDS": "60"}
    env = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-canary-key"}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", *POOLS[pool]]
    with running(args, ready=" ready.", env=env | SHORT | long_timeouts) as process:
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


def events_of(redis_client, job_id):
    return [json.loads(line) for line in redis_client.lrange(keys.events(job_id), 0, -1)]


def text_of(log):
    return "".join(event["text"] for event in log if event["type"] == "delta")


def start_job(client, redis_client, name):
    """The id of a running job whose provider has sent some text and has stalled."""
    job_id = client.submit(directive(STREAMS_THEN_STALLS, name))
    until(lambda: text_of(events_of(redis_client, job_id)) == PARTIAL_TEXT)
    return job_id


def closed_within_a_second(model_url, name, since):
    until(lambda: calls(model_url, name)["closed_early"] == 1)
    counts = calls(model_url, name)
    assert counts["last_closed_early_at"] - since < 1
    return (counts["calls"], counts["open"]) == (1, 0)


def result_of(redis_client, job_id):
    return json.loads(redis_client.get(keys.result(job_id)))


def is_cancelled_with_its_text(client, redis_client, job_id):
    """Whether record, event log and result all show the cancel and the partial text."""
    log, stored = events_of(redis_client, job_id), result_of(redis_client, job_id)
    outcome = (client.record(job_id).state, log[-1]["type"], stored["status"])
    assert outcome == (State.CANCELLED, "cancelled", "REVOKED")
    return text_of(log) == stored["partial"]["text"] == PARTIAL_TEXT


@contextmanager
def all_slots_taken(client, redis_client, http, pool):
    """Jobs submitted in this block stay queued until its end."""
    fillers = [start_job(client, redis_client, key()) for _ in range(1 if pool == "solo" else 2)]
    yield
    for filler in fillers:
        assert http.post(f"/api/v1/tasks/{filler}/cancel").status_code == 200


def test_a_cancelled_running_job_stops_within_a_second_and_stays_cancelled(
    worker, client, http, model_url, redis_client, stock_control
):
    """Its partial text is kept; a second cancel and a revoke change nothing."""
    name = key()
    job_id = start_job(client, redis_client, name)
    response = http.post(f"/api/v1/tasks/{job_id}/cancel")
    cancelled_at = time.time()

    assert (response.status_code, response.json["status"]) == (200, "cancelled")
    assert closed_within_a_second(model_url, name, cancelled_at)
    assert is_cancelled_with_its_text(client, redis_client, job_id)
    version = client.record(job_id).version
    second = http.post(f"/api/v1/tasks/{job_id}/cancel")
    assert (second.status_code, second.json["status"]) == (200, "cancelled")
    assert revoke(stock_control, job_id) == {"ok": f"cancelled: {job_id}"}
    assert client.ended(client.submit("[[offline say=next]]")).state is State.COMPLETED
    assert client.record(job_id).version == version


def test_a_deleted_running_job_is_stopped_and_leaves_no_trace(worker, client, http, model_url, redis_client):
    """Deleting stops the paid call within a second, and no key in Redis still names the job."""
    name = key()
    job_id = start_job(client, redis_client, name)

    assert http.delete(f"/api/v1/tasks/{job_id}").status_code == 204
    assert closed_within_a_second(model_url, name, time.time())
    assert http.get(f"/api/v1/tasks/{job_id}").status_code == 404
    assert http.delete(f"/api/v1/tasks/{job_id}").status_code == 404
    assert client.ended(client.submit("[[offline say=next]]")).state is State.COMPLETED
    assert list(redis_client.scan_iter(f"*{job_id}*")) == []


def test_a_cancelled_or_deleted_queued_job_never_calls_the_provider(
    worker, pool, client, http, model_url, redis_client
):
    """Its message stays in the queue and reaches a worker later, which must ignore it."""
    cancelled, deleted = key(), key()
    with all_slots_taken(client, redis_client, http, pool):
        job_id, deleted_id = (client.submit(directive("say=never", name)) for name in (cancelled, deleted))
        assert http.post(f"/api/v1/tasks/{job_id}/cancel").json["status"] == "cancelled"
        assert http.delete(f"/api/v1/tasks/{deleted_id}").status_code == 204
        last = client.submit("[[offline say=last]]")

    assert client.ended(last).state is State.COMPLETED
    assert client.record(job_id).state is State.CANCELLED
    assert [calls(model_url, name)["calls"] for name in (cancelled, deleted)] == [0, 0]


def test_a_job_cancelled_while_it_waits_for_a_retry_is_not_retried(worker, client, http, model_url, stock_control):
    """Over HTTP and by revoke: the time of the retry passes without another call."""
    names = [key(), key()]
    job_ids = [client.submit(directive("status=500 retry_after=0.7 times=1", name)) for name in names]
    until(lambda: all(client.record(job_id).retry_at_ms for job_id in job_ids))
    assert http.post(f"/api/v1/tasks/{job_ids[0]}/cancel").json["status"] == "cancelled"
    assert revoke(stock_control, job_ids[1]) == {"ok": f"cancelled: {job_ids[1]}"}

    later = client.submit(directive("status=500 retry_after=0.7 times=1", key()))
    assert client.ended(later).attempts == 2
    assert [client.record(job_id).state for job_id in job_ids] == [State.CANCELLED, State.CANCELLED]
    assert [calls(model_url, name)["calls"] for name in names] == [1, 1]


def test_a_cancel_after_the_end_changes_nothing(worker, client, http, stock_control):
    """A job that has completed keeps its state and its answer."""
    job_id = client.submit("[[offline say=whole]]")
    ended = client.ended(job_id)
    response = http.post(f"/api/v1/tasks/{job_id}/cancel")

    assert (response.status_code, response.json["status"]) == (200, "completed")
    assert revoke(stock_control, job_id, **WAYS["terminate"]) == {"ok": f"final: {job_id}"}
    assert client.record(job_id) == ended
    assert client.outcome(job_id)[0].text == "whole"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", POOLS_WITH_REMOTE_CONTROL, indirect=True)
def test_celerys_revoke_cancels_a_running_job(worker, client, model_url, redis_client, stock_control, way):
    """Plain or with terminate: the call closes within a second, nothing is killed, Celery's tools show it revoked."""
    name = key()
    job_id = start_job(client, redis_client, name)
    with revoked_events(stock_control) as revoked:
        assert revoke(stock_control, job_id, **WAYS[way]) == {"ok": f"cancelled: {job_id}"}
        assert closed_within_a_second(model_url, name, time.time())
        assert until(revoked) == [job_id]

    assert job_id in revoked_ids(stock_control)
    assert client.ended(client.submit("[[offline say=next]]")).state is State.COMPLETED
    assert is_cancelled_with_its_text(client, redis_client, job_id)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", POOLS_WITH_REMOTE_CONTROL, indirect=True)
def test_celerys_revoke_cancels_a_queued_job(worker, pool, client, http, model_url, redis_client, stock_control, way):
    """The job is cancelled while its message still waits; when a worker takes that, Celery drops and reports it."""
    name = key()
    with revoked_events(stock_control) as revoked:
        with all_slots_taken(client, redis_client, http, pool):
            job_id = client.submit(directive("say=never", name))
            assert revoke(stock_control, [job_id], **WAYS[way]) == {"ok": f"cancelled: {job_id}"}
            assert client.record(job_id).state is State.CANCELLED
        assert until(revoked) == [job_id]

    stored = result_of(redis_client, job_id)
    assert (stored["status"], stored["partial"]) == ("REVOKED", None)
    assert calls(model_url, name)["calls"] == 0


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pool", ["solo"], indirect=True)
def test_solo_handles_a_revoke_between_its_jobs(worker, client, model_url, stock_control, way):
    """The running job ends first and keeps its answer; the queued job is cancelled or completes, never cut off."""
    name = key()
    ran = client.submit("[[offline delay=0.5 say=whole]]")
    until(lambda: client.record(ran).state is State.IN_PROGRESS)
    queued = client.submit(directive("say=whole", name))
    reply = revoke(stock_control, [ran, queued], **WAYS[way])["ok"]

    assert (client.record(ran).state, client.outcome(ran)[0].text) == (State.COMPLETED, "whole")
    states = {"cancelled": State.CANCELLED, "final": State.COMPLETED}
    assert f"final: {ran}" in reply
    assert client.ended(queued).state is states["cancelled" if f"cancelled: {queued}" in reply else "final"]
    assert calls(model_url, name) == calls(model_url, name) | {"open": 0, "closed_early": 0}
