"""Workers that die: busy, behind a backlog, between taking a bell and claiming its job."""

import os
import signal
import time

import psutil

from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault

BACK_SECONDS = 5.0  # on top of a lease


def kill_busy_workers(environment: Environment) -> None:
    """200 jobs of 5 s on four workers, fifteen kills, one after another."""
    slots = 5 if environment.plan.pool == "prefork" else 10
    environment.fleet.start(4, slots)
    environment.client.submit_many(environment.plan.count(200, 30), 5)
    environment.wait_until_busy(slots)
    for _ in range(environment.plan.count(15, 3)):
        _kill_one(environment)
        time.sleep(environment.random.uniform(2, 4))
    _expect_resumptions(environment)


def kill_behind_a_backlog(environment: Environment) -> None:
    """The queue is so long that jobs at its end wait for minutes: broken ones must not."""
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
    time.sleep(environment.plan.lease_seconds + BACK_SECONDS)
    environment.expect_resumptions(environment.plan.lease_seconds + BACK_SECONDS)


def _kill_one(environment: Environment) -> None:
    """A worker of the fleet; on prefork every other time only one of its children."""
    ready = [worker for worker in environment.fleet.workers if " ready." in worker.process.output]
    worker = environment.random.choice(ready)
    children = worker.children() if environment.plan.pool == "prefork" else []
    if children and environment.random.random() < 0.5:
        os.kill(environment.random.choice(children), signal.SIGKILL)
    else:
        environment.fleet.replace(worker)


def kill_between_message_and_claim(environment: Environment) -> None:
    """Frozen while they wait for a bell, workers are sent one that they never read; then they die."""
    for _ in range(environment.plan.count(5, 2)):
        workers = environment.fleet.start(4, 5)
        _let_them_take_messages_unread(environment, workers)
        for worker in workers:
            worker.signal_all(signal.SIGKILL)
            environment.fleet.retire(worker)
        _wait_for_late_calls(environment)
    environment.fleet.start(1, 5)
    if environment.calls().extra:
        environment.misses.append("a job that was never claimed was called for twice")


def _let_them_take_messages_unread(environment: Environment, workers: list) -> None:
    with environment.redis.client() as redis:
        waiting = environment.wait(lambda: _blocked(redis) >= len(workers), 10, "idle workers wait for messages")
        for worker in workers:
            worker.signal_all(signal.SIGSTOP)
        if waiting:
            environment.client.submit_many(len(workers), 1)
        unread = len(workers) - redis.llen(keys.broker_list(keys.DEFAULT_QUEUE, keys.NORMAL_PRIORITY))
        environment.notes.append(f"{unread} taken unread")


def _blocked(redis) -> int:
    return redis.info("clients")["blocked_clients"]


def _wait_for_late_calls(environment: Environment) -> None:
    """One new worker: every job that was never claimed begins there, a lost bell's age after its submit."""
    [worker] = environment.fleet.start(1, 5)
    ready_at = time.time()
    sent = environment.client.sent[-4:]
    begun = environment.wait_for_calls(sent, 30, "jobs whose message was lost begin")
    environment.back += [max(0.0, began - ready_at) for began in begun]
    environment.wait(lambda: not environment.unfinished(), 10, "they end")
    worker.signal_all(signal.SIGKILL)
    environment.fleet.retire(worker)


def kill_a_worker_with_a_quarantined_job(environment: Environment) -> None:
    """The quarantine's child of a killed worker must not go on with a call that another worker makes again."""
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
    environment.wait(lambda: not any(child.is_running() for child in children), 5, "the child is gone with its worker")
    _expect_resumptions(environment)


FAULTS = (
    Fault("kill", "SIGKILL of busy workers", kill_busy_workers, EVERY_POOL, 240),
    Fault("backlog", "SIGKILL of busy workers behind a backlog", kill_behind_a_backlog, end_seconds=400),
    Fault("popped", "SIGKILL between pop and claim (forced)", kill_between_message_and_claim),
    Fault("suspect", "SIGKILL of a worker with a quarantined call", kill_a_worker_with_a_quarantined_job),
)
