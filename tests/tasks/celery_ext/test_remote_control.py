"""Celery's revoke cancels jobs: the command line, many ids and outages. test_cancel.py covers every pool."""

import json
import subprocess
import sys
import uuid
from urllib.parse import urlsplit

import pytest
from celery.utils.collections import LimitedSet
from celery.worker import state as worker_state

from jobs.settings import get_settings
from jobs.states import State
from jobs.storage import keys
from jobs.storage.message_template import ID_PLACEHOLDER, TAG_PLACEHOLDER
from jobs.storage.sync_store import Store
from tasks import app
from tasks.celery_ext import remote_control
from tasks.queue_message import make_message_template
from tests.chaos.proxy import Proxy
from tests.support.offline_model import calls, directive, key
from tests.support.processes import PROJECT_ROOT, running
from tests.support.remote_control import revoke, revoked_events, revoked_ids, stock_client
from tests.support.waiting import until
from tests.tasks.conftest import SHORT

UNKNOWN = "job_" + "0" * 32


@pytest.fixture(scope="module")
def stock_control(redis_url):
    with stock_client(redis_url) as client:
        yield client


@pytest.mark.parametrize("command", [["revoke"], ["terminate", "SIGKILL"]], ids=lambda command: command[0])
def test_the_celery_command_line_cancels_a_running_job(worker, client, redis_client, redis_url, model_url, command):
    """`celery control revoke` and `terminate` close the running call, as Flower does."""
    name = key()
    job_id = client.submit(directive("tokens=2000 interval=0.02", name))
    until(lambda: redis_client.llen(keys.events(job_id)) > 3)
    args = [sys.executable, "-m", "celery", "-A", "tasks", "--broker", redis_url, "control", *command, job_id]
    result = subprocess.run(args, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=30, check=False)

    assert (result.returncode, f"cancelled: {job_id}" in result.stdout) == (0, True), result.stdout + result.stderr
    assert client.record(job_id).state is State.CANCELLED
    until(lambda: calls(model_url, name)["closed_early"] == 1)


def test_foreign_ids_go_to_celery_and_unknown_job_ids_leave_no_trace(worker, client, redis_client, stock_control):
    """Other Celery tasks can still be revoked; an unknown job id must not create a key in Redis."""
    foreign, job_id = f"foreign-{uuid.uuid4()}", client.submit("[[offline delay=20]]")
    until(lambda: client.record(job_id).state is State.IN_PROGRESS)
    replies = revoke(stock_control, [foreign, job_id, UNKNOWN])["ok"]

    assert replies.startswith(f"cancelled: {job_id}; gone: {UNKNOWN}; ")
    assert foreign in replies
    assert {foreign, job_id} <= set(revoked_ids(stock_control))
    assert UNKNOWN not in revoked_ids(stock_control)
    assert json.loads(redis_client.get(keys.result(foreign)))["status"] == "REVOKED"
    assert list(redis_client.scan_iter(f"*{UNKNOWN}*")) == []


def test_a_cancel_that_redis_has_lost_is_repeated_when_the_message_arrives(
    worker, client, model_url, redis_client, settings, stock_control
):
    """Otherwise the job would wait forever: the worker remembers the revoke and drops every message for it."""
    name = key()
    job_id = client.submit(directive("status=500 retry_after=60 times=1", name))
    until(lambda: client.record(job_id).retry_at_ms)
    lost = {name: redis_client.dump(name) for name in (keys.job(job_id), keys.events(job_id))}
    assert revoke(stock_control, job_id) == {"ok": f"cancelled: {job_id}"}
    for lost_key, value in lost.items():
        redis_client.restore(lost_key, 0, value, replace=True)
    redis_client.hdel(keys.job(job_id), "retry_at_ms")
    assert client.record(job_id).state is State.QUEUED

    message_template = make_message_template(app, settings)
    with revoked_events(stock_control) as revoked:
        message = message_template.high.replace(ID_PLACEHOLDER, job_id).replace(TAG_PLACEHOLDER, str(uuid.uuid4()))
        redis_client.lpush(message_template.high_list, message)
        assert until(revoked) == [job_id]
    assert client.ended(job_id).state is State.CANCELLED
    assert calls(model_url, name)["calls"] == 1


@pytest.mark.processes
def test_an_outage_of_the_store_is_reported_and_the_next_revoke_works(redis_client, redis_url, model_url, client):
    """Nothing is marked as revoked during the outage: the job must still run until a revoke cancels it."""
    proxy = Proxy(urlsplit(redis_url).port)
    broker = redis_url.removesuffix("/0") + "/1"
    env = {"REDIS_URL": proxy.url, "CELERY_BROKER_URL": broker, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t"}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO"]
    with running(args, ready=" ready.", env=env | SHORT) as worker, stock_client(broker) as stock_app:
        job_id = client.submit("[[offline delay=20]]")
        proxy.refuse()
        assert revoke(stock_app, job_id) == {"error": "Redis cannot be reached; try again later"}
        assert revoked_ids(stock_app) == []
        proxy.restore()
        assert revoke(stock_app, job_id) == {"ok": f"cancelled: {job_id}"}
        assert revoked_ids(stock_app) == [job_id]
        assert client.record(job_id).state is State.CANCELLED
    proxy.close()
    assert "revoke_failed jobs=1 code=store_unavailable" in worker.output
    assert "Traceback" not in worker.output


@pytest.fixture
def in_this_process(redis_url, monkeypatch):
    """The remote control command in this process, with its own store and list of revoked ids."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setattr(worker_state, "revoked", LimitedSet())
    get_settings.cache_clear()
    remote_control._store.cache_clear()
    yield
    remote_control._store().close()
    remote_control._store.cache_clear()
    get_settings.cache_clear()


def test_an_error_of_redis_is_a_reply_without_its_text(in_this_process, client, redis_client, caplog):
    """Celery would log the raw error with a traceback. The jobs beside the damaged one are cancelled."""
    job_id, other = client.submit("[[offline delay=60]]"), client.submit("[[offline delay=60]]")
    redis_client.delete(keys.LEASES)
    redis_client.set(keys.LEASES, "not a sorted set")

    reply = remote_control.revoke(None, [job_id, other])

    assert list(reply) == ["error"]
    assert "WRONGTYPE" in reply["error"]
    assert job_id not in reply["error"]
    assert "revoke_failed jobs=2 code=WRONGTYPE" in [record.getMessage() for record in caplog.records]


def test_a_thousand_ids_cost_one_round_trip(in_this_process, client, monkeypatch):
    """A large revoke must not block the worker's main thread for a thousand round trips."""
    job_ids = [client.submit("[[offline delay=60]]") for _ in range(1_001)]
    remote_control.revoke(None, job_ids.pop())  # loads the script into the server
    trips, send = [], Store._send_once
    monkeypatch.setattr(
        Store,
        "_send_once",
        lambda store, commands, must_be_safe: trips.append(len(commands)) or send(store, commands, must_be_safe),
    )
    replies = remote_control.revoke(None, job_ids)["ok"]

    assert trips == [1_000]
    assert replies == f"cancelled: {', '.join(job_ids)}"
    assert {client.record(job_id).state for job_id in job_ids} == {State.CANCELLED}
