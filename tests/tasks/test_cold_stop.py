"""A cold stop gives running jobs back immediately, uncounted, on every pool."""

import os
import signal
import sys

import pytest

from jobs import queries
from jobs.models import WaitReason
from jobs.states import State
from tests.support.offline_model import calls, directive, key
from tests.support.processes import running
from tests.support.waiting import until
from tests.tasks.conftest import SHORT

pytestmark = [pytest.mark.slow, pytest.mark.processes]

JOBS = 3
BACK_SECONDS = 5.0  # on a busy machine; well below the lease of 15 s, after which recovery would give them back
POOLS = {"asyncio": [], "threads": ["-P", "threads"], "prefork": ["-P", "prefork"]}


@pytest.fixture
def start_worker(redis_url, model_url):
    """Start a worker with these arguments and as many slots as there are jobs."""

    def start(*arguments, **env):
        env |= {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t", **SHORT}
        command = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", "-c", str(JOBS)]
        return running([*command, *arguments], ready=" ready.", env=env)

    return start


def quit_worker(worker):
    worker.send(signal.SIGQUIT)


def quit_process_group(worker):
    os.killpg(worker.pid, signal.SIGQUIT)


def press_ctrl_c_twice(worker):
    worker.send(signal.SIGINT)
    worker.wait_for("Warm shutdown")
    worker.send(signal.SIGINT)


def terminate(worker):
    worker.send(signal.SIGTERM)


def quit_during_warm_stop(worker):
    worker.send(signal.SIGTERM)
    worker.wait_for("Warm shutdown")
    worker.send(signal.SIGQUIT)


@pytest.mark.parametrize(
    ("pool", "stop", "env", "code"),
    [
        ("asyncio", quit_worker, {}, 0),
        ("threads", quit_worker, {}, 0),
        ("prefork", quit_worker, {}, 0),
        ("prefork", quit_process_group, {}, 0),
        ("asyncio", press_ctrl_c_twice, {}, 1),
        ("threads", press_ctrl_c_twice, {}, 1),
        ("prefork", press_ctrl_c_twice, {}, 1),
        ("asyncio", terminate, {"REMAP_SIGTERM": "SIGQUIT"}, 0),
        ("prefork", terminate, {"REMAP_SIGTERM": "SIGQUIT"}, 0),
        ("asyncio", quit_during_warm_stop, {}, 0),
    ],
)
def test_running_jobs_go_back_uncounted_and_wait_for_a_slot(start_worker, client, model_url, pool, stop, env, code):
    """Their calls are closed at once; the exit code is the one of a stock Celery worker; no traceback is logged."""
    names = [key() for _ in range(JOBS)]
    with start_worker(*POOLS[pool], **env) as worker:
        job_ids = [client.submit(directive("tokens=2000 interval=0.02", name)) for name in names]
        until(lambda: all(client.streamed(job_id) > 2 for job_id in job_ids))
        stop(worker)
        until(lambda: all(client.record(job_id).state is State.QUEUED for job_id in job_ids), BACK_SECONDS)
        assert worker.wait(15) == code
        assert "Traceback" not in worker.output

    assert [charges(client, job_id) for job_id in job_ids] == [(0, 0, 0)] * JOBS
    places = [client.store.run(queries.queue_position(job_id)) for job_id in job_ids]
    assert [place.waiting_for for place in places] == [WaitReason.SLOT] * JOBS
    assert [calls(model_url, name)["closed_early"] for name in names] == [1] * JOBS


@pytest.mark.parametrize("pool", POOLS)
def test_jobs_that_have_just_arrived_go_back_too(start_worker, client, model_url, pool):
    """SIGQUIT comes while messages are received, claimed and started: none is kept, counted or lost."""
    with start_worker(*POOLS[pool]) as worker:
        job_ids = [client.submit(directive("tokens=2000 interval=0.02", key())) for _ in range(JOBS)]
        worker.wait_for(f"[{job_ids[-1]}] received")
        worker.send(signal.SIGQUIT)
        assert worker.wait(15) == 0

    assert [client.record(job_id).state for job_id in job_ids] == [State.QUEUED] * JOBS
    assert [charges(client, job_id) for job_id in job_ids] == [(0, 0, 0)] * JOBS
    with start_worker(
        *POOLS[pool], CHATQUEUE_GRACE_SECONDS="0.2"
    ):  # their messages are in the queue: nothing waits for recovery
        until(lambda: all(client.streamed(job_id) > 2 for job_id in job_ids), BACK_SECONDS)


@pytest.mark.parametrize("pool", POOLS)
def test_an_idle_worker_ends_as_well(start_worker, pool):
    """Without a job there is nothing to wait for."""
    with start_worker(*POOLS[pool]) as worker:
        worker.send(signal.SIGQUIT)
        assert worker.wait(15) == 0
        assert "Traceback" not in worker.output


def charges(client, job_id):
    record = client.record(job_id)
    return record.attempts, record.failures, record.worker_losses
