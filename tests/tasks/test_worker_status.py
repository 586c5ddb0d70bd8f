"""A worker reports whether it takes jobs, its slots and its version: alive is not able."""

import signal
import sys

import pytest
import redis

from jobs import queries, queue_stats
from jobs.states import State
from jobs.version import VERSION
from tests.chaos.proxy import Proxy
from tests.support.processes import running
from tests.support.remote_control import REPLY_SECONDS, stock_client
from tests.support.waiting import until
from tests.tasks.conftest import SHORT

pytestmark = [pytest.mark.slow, pytest.mark.processes]

POOLS = {"asyncio": [], "threads": ["-P", "threads"], "prefork": ["-P", "prefork"], "solo": ["-P", "solo"]}


@pytest.fixture
def start_worker(redis_url, model_url):
    def start(*arguments, **env):
        env = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-t", **SHORT, **env}
        args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "INFO", "-c", "2", *arguments]
        return running(args, ready=" ready.", env=env)

    return start


@pytest.fixture
def control(redis_url):
    with stock_client(redis_url) as app:
        yield lambda command, **arguments: app.control.broadcast(
            command, arguments=arguments, reply=True, limit=1, timeout=REPLY_SECONDS
        )


@pytest.fixture
def workers(client, settings):
    """The workers that the stats show now."""
    return lambda: queue_stats.stats(client.store, settings).workers


@pytest.mark.parametrize("pool", POOLS)
def test_every_pool_is_one_worker_with_its_slots(start_worker, client, workers, pool):
    """Prefork's processes are one worker, too. Its slots are free until jobs run, and then it still takes jobs."""
    slots = 1 if pool == "solo" else 2
    with start_worker(*POOLS[pool]) as process:
        until(lambda: [worker.takes_jobs for worker in workers()] == [True])
        [worker] = workers()
        assert worker.name == f"{worker.host}:{process.pid}"
        assert (worker.version, worker.slots, worker.free_slots) == (VERSION, slots, slots)
        job_ids = [client.submit("[[offline delay=8]]") for _ in range(slots)]
        until(lambda: [(worker.takes_jobs, worker.free_slots) for worker in workers()] == [(True, 0)])
        for job_id in job_ids:
            assert client.record(job_id).state is State.IN_PROGRESS
        process.send(signal.SIGQUIT)
        assert process.wait(15) == 0


@pytest.mark.parametrize("pool", ["asyncio", "prefork"])
def test_a_worker_whose_queue_is_cancelled_does_not_take_jobs(start_worker, client, control, workers, pool):
    """`control cancel_consumer` shows within seconds, also as an unknown wait; `add_consumer` reverts it."""
    with start_worker(*POOLS[pool]):
        until(lambda: [worker.takes_jobs for worker in workers()] == [True])
        control("cancel_consumer", queue="chatqueue")
        until(lambda: [worker.takes_jobs for worker in workers()] == [False])
        assert client.store.run(queries.has_taker()) is False
        job_id = client.submit("[[offline say=later]]")
        control("add_consumer", queue="chatqueue")

        assert client.ended(job_id).state is State.COMPLETED
        until(lambda: [worker.takes_jobs for worker in workers()] == [True])


def test_a_worker_without_a_connection_to_the_broker_does_not_take_jobs(start_worker, redis_url, workers):
    """Its heartbeat reaches the record store, which it reaches directly; the broker is cut off."""
    proxy = Proxy(redis.Redis.from_url(redis_url).connection_pool.connection_kwargs["port"])
    with start_worker(CELERY_BROKER_URL=proxy.url) as process:
        until(lambda: [worker.takes_jobs for worker in workers()] == [True])
        proxy.refuse()
        until(lambda: [worker.takes_jobs for worker in workers()] == [False], 30)
        assert process.returncode is None
        proxy.restore()
        until(lambda: [worker.takes_jobs for worker in workers()] == [True], 40)
    proxy.close()


def test_a_stopping_worker_does_not_take_jobs(start_worker, client, workers):
    """During the grace period the worker is alive: its job still runs."""
    with start_worker() as process:
        job_id = client.submit("[[offline delay=3 say=last]]")
        until(lambda: client.record(job_id).state is State.IN_PROGRESS)
        process.send(signal.SIGTERM)
        until(lambda: [worker.takes_jobs for worker in workers()] == [False])
        assert client.record(job_id).state is State.IN_PROGRESS
        assert process.wait(15) == 0

    assert client.record(job_id).state is State.COMPLETED


@pytest.mark.parametrize("pool", POOLS)
def test_a_pool_keeps_a_slot_and_says_so(start_worker, control, workers, pool):
    """Neither a pool below 1 nor an absurd one: the reply is an error with the reason, and nothing has changed."""
    is_fixed = pool in {"threads", "solo"}
    with start_worker(*POOLS[pool]) as process:
        until(lambda: [worker.takes_jobs for worker in workers()] == [True])
        for command, n in (("pool_shrink", 500), ("pool_shrink", 2), ("pool_shrink", -1), ("pool_grow", 10**9)):
            [reply] = control(command, n=n)
            [(_, answer)] = reply.items()
            assert list(answer) == ["error"]
            assert ("cannot be resized" in answer["error"]) == is_fixed
        if not is_fixed:
            [reply] = control("pool_shrink", n=1)
            assert list(reply.values()) == [{"ok": "pool will shrink"}]
            until(lambda: [worker.slots for worker in workers()] == [1])
        assert "Traceback" not in process.output
