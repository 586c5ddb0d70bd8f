"""Workers that die: busy, behind a backlog, between taking a bell and claiming its job."""

import os
import signal
import time

import psutil

from jobs.storage import keys
from tests.chaos.environment import Stage
from tests.chaos.fault import EVERY_POOL, Fault

BACK_SECONDS = 5.0  # on top of a lease


def kill_busy_workers(stage: Stage) -> None:
    """200 jobs of 5 s on four workers, fifteen kills, one after another."""
    slots = 5 if stage.plan.pool == "prefork" else 10
    stage.fleet.start(4, slots)
    stage.client.submit_many(stage.plan.count(200, 30), 5)
    stage.wait_until_busy(slots)
    for _ in range(stage.plan.count(15, 3)):
        _kill_one(stage)
        time.sleep(stage.random.uniform(2, 4))
    _judge_comebacks(stage)


def kill_behind_a_backlog(stage: Stage) -> None:
    """The queue is so long that jobs at its end wait for minutes: broken ones must not."""
    slots = 5
    stage.fleet.start(4, slots)
    stage.client.submit_many(stage.plan.count(400, 120), 5)
    stage.wait_until_busy(4 * slots)
    for _ in range(stage.plan.count(10, 2)):
        _kill_one(stage)
        time.sleep(stage.random.uniform(2, 4))
    with stage.redis.client() as redis:
        stage.notes.append(f"{redis.zcard(keys.bells(keys.DEFAULT_QUEUE))} still in line after the last kill")
    _judge_comebacks(stage)


def _judge_comebacks(stage: Stage) -> None:
    time.sleep(stage.plan.lease_seconds + BACK_SECONDS)
    stage.expect_comebacks(stage.plan.lease_seconds + BACK_SECONDS)


def _kill_one(stage: Stage) -> None:
    """A worker of the fleet; on prefork every other time only one of its children."""
    ready = [worker for worker in stage.fleet.workers if " ready." in worker.process.output]
    worker = stage.random.choice(ready)
    children = worker.children() if stage.plan.pool == "prefork" else []
    if children and stage.random.random() < 0.5:
        os.kill(stage.random.choice(children), signal.SIGKILL)
    else:
        stage.fleet.replace(worker)


def kill_between_bell_and_claim(stage: Stage) -> None:
    """Frozen while they wait for a bell, workers are sent one that they never read; then they die."""
    for _ in range(stage.plan.count(5, 2)):
        workers = stage.fleet.start(4, 5)
        _let_them_take_bells_unread(stage, workers)
        for worker in workers:
            worker.signal_all(signal.SIGKILL)
            stage.fleet.forget(worker)
        _wait_for_late_calls(stage)
    stage.fleet.start(1, 5)
    if stage.calls().extra:
        stage.misses.append("a job that was never claimed was called for twice")


def _let_them_take_bells_unread(stage: Stage, workers: list) -> None:
    with stage.redis.client() as redis:
        waiting = stage.wait(lambda: _blocked(redis) >= len(workers), 10, "idle workers wait for bells")
        for worker in workers:
            worker.signal_all(signal.SIGSTOP)
        if waiting:
            stage.client.submit_many(len(workers), 1)
        unread = len(workers) - redis.llen(keys.broker_list(keys.DEFAULT_QUEUE, keys.NORMAL_PRIORITY))
        stage.notes.append(f"{unread} taken unread")


def _blocked(redis) -> int:
    return redis.info("clients")["blocked_clients"]


def _wait_for_late_calls(stage: Stage) -> None:
    """One new worker: every job that was never claimed begins there, a lost bell's age after its submit."""
    [worker] = stage.fleet.start(1, 5)
    ready_at = time.time()
    sent = stage.client.sent[-4:]
    begun = stage.wait_for_calls(sent, 30, "jobs whose bell was lost begin")
    stage.back += [max(0.0, began - ready_at) for began in begun]
    stage.wait(lambda: not stage.unfinished(), 10, "they end")
    worker.signal_all(signal.SIGKILL)
    stage.fleet.forget(worker)


def kill_a_worker_with_a_suspect(stage: Stage) -> None:
    """The quarantine's child of a killed worker must not go on with a call that another worker makes again."""
    [worker] = stage.fleet.start(1, 5)
    stage.client.submit(1, delay=2 * stage.plan.lease_seconds)
    for _ in range(2):
        stage.wait_until_busy(1, stage.plan.lease_seconds + 20)
        worker = stage.fleet.replace(worker)
        worker.wait_until_ready()
        stage.wait(lambda: not stage.calls().open, 10, "the broken call ends")
    stage.wait_until_busy(1, stage.plan.lease_seconds + 20)
    children = [psutil.Process(pid) for pid in worker.children()]
    stage.fleet.replace(worker)
    stage.wait(lambda: not any(child.is_running() for child in children), 5, "the child is gone with its worker")
    _judge_comebacks(stage)


FAULTS = (
    Fault("kill", "SIGKILL of busy workers", kill_busy_workers, EVERY_POOL, 240),
    Fault("backlog", "SIGKILL of busy workers behind a backlog", kill_behind_a_backlog, end_seconds=400),
    Fault("popped", "SIGKILL between pop and claim (forced)", kill_between_bell_and_claim),
    Fault("suspect", "SIGKILL of a worker with a quarantined call", kill_a_worker_with_a_suspect),
)
