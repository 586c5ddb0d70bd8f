"""Deploys: a stopping worker finishes what it can, releases the other jobs uncounted, and exits with 0."""

import signal
import sys
import time

import pytest

from jobs.states import State
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.support.waiting import until
from tests.tasks.conftest import SHORT

POOLS = ([], ["-P", "threads"], ["-P", "prefork", "-c", "2"], ["-P", "solo"])


@pytest.fixture
def worker_process(redis_url, model_url, processes):
    """Start a worker with these arguments and this grace period."""

    def start(*arguments, grace_seconds):
        env = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "CHATQUEUE_GRACE_SECONDS": str(grace_seconds)}
        args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", *arguments]
        return running(args, ready=" ready.", env=env | SHORT)

    return start


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool[1] if pool else "asyncio")
def test_a_job_that_outlasts_the_grace_period_is_released_uncounted(worker_process, client, model_url, pool):
    """On every pool the call is closed, the worker exits with 0, and the job is queued as if it had never started."""
    name = key()
    with worker_process(*pool, grace_seconds=0.5) as worker:
        job_id = client.submit(directive("tokens=2000 interval=0.02", name))
        until(lambda: client.streamed(job_id) > 2)
        worker.send(signal.SIGTERM)
        assert worker.wait(15) == 0

    record = client.record(job_id)
    assert (record.state, record.attempts, record.failures, record.worker_losses) == (State.QUEUED, 0, 0, 0)
    until(lambda: calls(model_url, name)["closed_early"] == 1)


@pytest.mark.parametrize("pool", POOLS, ids=lambda pool: pool[1] if pool else "asyncio")
def test_a_job_that_ends_within_the_grace_period_is_completed(worker_process, client, pool):
    """A deploy must not throw away an answer that is almost complete."""
    with worker_process(*pool, grace_seconds=10) as worker:
        job_id = client.submit("[[offline delay=0.7 say=done]]")
        until(lambda: client.record(job_id).state is State.IN_PROGRESS)
        worker.send(signal.SIGTERM)
        assert worker.wait(15) == 0

    assert client.record(job_id).state is State.COMPLETED
    assert client.outcome(job_id)[0].text == "done"


def test_another_worker_takes_a_released_job_immediately(worker_process, client, model_url):
    """A released job is published before the backlog; it does not wait for its lease to expire."""
    name = key()
    with worker_process("-n", "first@h", grace_seconds=0.3) as first:
        job_id = client.submit(directive("tokens=150 interval=0.01", name))
        until(lambda: client.streamed(job_id) > 2)
        with worker_process("-n", "second@h", grace_seconds=5):
            first.send(signal.SIGTERM)
            assert first.wait(15) == 0
            stopped_at = time.time()
            record = client.ended(job_id)

    assert (record.state, record.attempts) == (State.COMPLETED, 1)
    assert record.started_at_ms / 1000 < stopped_at + 3


def test_a_stopping_worker_takes_no_new_job(worker_process, client):
    """A worker that was asked to stop leaves new jobs to the other workers."""
    with worker_process(grace_seconds=10) as worker:
        running_id = client.submit("[[offline delay=0.8 say=last]]")
        until(lambda: client.record(running_id).state is State.IN_PROGRESS)
        worker.send(signal.SIGTERM)
        worker.wait_for("Warm shutdown")
        late_id = client.submit("hello")
        assert worker.wait(15) == 0

    assert client.record(running_id).state is State.COMPLETED
    assert client.record(late_id).state is State.QUEUED
