"""Workers that are killed: while busy, with a backlog, or between receiving a message and claiming its job."""

import os
import signal
import time

import psutil
from redis import Redis

from jobs.priorities import NORMAL_PRIORITY
from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault
from tests.chaos.worker_fleet import Worker

RECOVERY_SECONDS = 5.0  # in addition to a lease


def kill_busy_workers(environment: Environment) -> None:
    """200 jobs of 5 s on four workers, and fifteen kills in sequence."""
    slots = 5 if environment.plan.pool == "prefork" else 10
    environment.fleet.start(4, slots)
    environment.client.submit_many(environment.plan.count(200, 30), 5)
    environment.wait_until_busy(slots)
    for _ in range(environment.plan.count(15, 3)):
        _kill_one(environment)
        time.sleep(environment.random.uniform(2, 4))
    _expect_resumptions(environment)


def kill_behind_a_backlog(environment: Environment) -> None:
    """The queue is so long that its last jobs wait for minutes. Jobs of killed workers must not wait that long."""
    slots = 5
    environment.fleet.start(4, slots)
    environment.client.submit_many(environment.plan.count(400, 120), 5)
    environment.wait_until_busy(4 * slots)
    for _ in range(environment.plan.count(10, 2)):
        _kill_one(environment)
        time.sleep(environment.random.uniform(2, 4))
    with environment.redis.client() as redis:
        environment.notes.append(f"{redis.zcard(keys.messages(keys.DEFAULT_QUEUE))} still queued after the last kill")
    _expect_resumptions(environment)


def _expect_resumptions(environment: Environment) -> None:
    time.sleep(environment.plan.lease_seconds + RECOVERY_SECONDS)
    environment.expect_resumptions(environment.plan.lease_seconds + RECOVERY_SECONDS)


def _kill_one(environment: Environment) -> None:
    """Kill a random worker; on prefork, every other time only one of its children."""
    ready = [worker for worker in environment.fleet.workers if " ready." in worker.process.output]
    worker = environment.random.choice(ready)
    children = worker.children() if environment.plan.pool == "prefork" else []
    if children and environment.random.random() < 0.5:
        os.kill(environment.random.choice(children), signal.SIGKILL)
    else:
        environment.fleet.replace(worker)


def kill_between_message_and_claim(environment: Environment) -> None:
    """Frozen workers wait for a message. Redis delivers one that they never read; then they are killed."""
    for _ in range(environment.plan.count(5, 2)):
        workers = environment.fleet.start(4, 5)
        _deliver_messages_to_frozen_workers(environment, workers)
        for worker in workers:
            worker.signal_all(signal.SIGKILL)
            environment.fleet.retire(worker)
        _wait_for_late_calls(environment)
    environment.fleet.start(1, 5)
    if environment.calls().extra:
        environment.failures.append("a job that was never claimed was called twice")


def _deliver_messages_to_frozen_workers(environment: Environment, workers: list[Worker]) -> None:
    with environment.redis.client() as redis:
        waiting = environment.wait(lambda: _blocked(redis) >= len(workers), 10, "idle workers wait for messages")
        for worker in workers:
            worker.signal_all(signal.SIGSTOP)
        if waiting:
            environment.client.submit_many(len(workers), 1)
        unread = len(workers) - redis.llen(keys.broker_list(keys.DEFAULT_QUEUE, NORMAL_PRIORITY))
        environment.notes.append(f"{unread} messages delivered and never read")


def _blocked(redis: Redis) -> int:
    return int(redis.info("clients")["blocked_clients"])


def _wait_for_late_calls(environment: Environment) -> None:
    """Start a new worker. It runs every unclaimed job once the job's message counts as lost."""
    [worker] = environment.fleet.start(1, 5)
    ready_at = time.time()
    sent = environment.client.sent[-4:]
    started = environment.wait_for_calls(sent, 30, "jobs whose message was lost begin")
    environment.recovery_seconds += [max(0.0, started_at - ready_at) for started_at in started]
    environment.wait(lambda: not environment.unfinished(), 10, "the jobs end")
    worker.signal_all(signal.SIGKILL)
    environment.fleet.retire(worker)


def kill_a_worker_with_a_quarantined_job(environment: Environment) -> None:
    """The quarantine process of a killed worker must not continue a call that another worker repeats."""
    [worker] = environment.fleet.start(1, 5)
    environment.client.submit(1, delay=2 * environment.plan.lease_seconds)
    for _ in range(2):
        environment.wait_until_busy(1, environment.plan.lease_seconds + 20)
        worker = environment.fleet.replace(worker)
        worker.wait_until_ready()
        environment.wait(lambda: not environment.calls().open, 10, "the broken call ends")
    environment.wait_until_busy(1, environment.plan.lease_seconds + 20)
    children = [psutil.Process(pid) for pid in worker.children()]
    environment.fleet.replace(worker)
    environment.wait(
        lambda: not any(child.is_running() for child in children), 5, "the quarantine process ends with its worker"
    )
    _expect_resumptions(environment)


FAULTS = (
    Fault("kill", "SIGKILL of busy workers", kill_busy_workers, EVERY_POOL, 240),
    Fault("backlog", "SIGKILL of busy workers behind a backlog", kill_behind_a_backlog, end_seconds=400),
    Fault("popped", "SIGKILL between message and claim (forced)", kill_between_message_and_claim),
    Fault("quarantined", "SIGKILL of a worker with a quarantined call", kill_a_worker_with_a_quarantined_job),
)
