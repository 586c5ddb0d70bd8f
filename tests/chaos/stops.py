"""Workers that are told to stop, and workers that freeze and wake up again."""

import signal
import threading
import time

from tests.chaos.environment import FAULT_FOLDER, Stage
from tests.chaos.fault import Fault
from tests.chaos.worker_fleet import Worker

GRACE_SECONDS = 3.0
ON_TOP_SECONDS = 2.0


def deploy_under_load(stage: Stage) -> None:
    """Each worker in turn gets SIGTERM when its successor is ready; jobs last longer than the grace period."""
    stage.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    stage.fleet.start(3, 8)
    feeder = threading.Thread(target=stage.submit_while, args=(30, 0.5, 8), daemon=True)
    feeder.start()
    stage.wait_until_busy(10)
    for worker in list(stage.fleet.workers):
        _deploy(stage, worker)
    feeder.join()
    _expect_no_attempt_charged(stage)


def _deploy(stage: Stage, worker: Worker) -> None:
    stage.fleet.start(1, worker.slots)
    told_at = time.time()
    worker.signal_main(signal.SIGTERM)
    stage.fleet.forget(worker)
    _expect_exit(stage, worker, GRACE_SECONDS + ON_TOP_SECONDS)
    time.sleep(ON_TOP_SECONDS)
    back = [found.began_again - told_at for found in stage.comebacks() if found.broke_at >= told_at]
    stage.back += back
    if back and max(back) > GRACE_SECONDS + ON_TOP_SECONDS:
        stage.misses.append(f"elsewhere only {max(back):.1f} s after SIGTERM")


def _expect_exit(stage: Stage, worker: Worker, within: float) -> None:
    started = time.monotonic()
    stage.wait(lambda: not worker.is_running, within + 30, "the worker exits")
    took = time.monotonic() - started
    stage.notes.append(f"exit {worker.process.returncode} after {took:.1f} s")
    if took > within or worker.process.returncode != 0:
        stage.misses.append(f"exit {worker.process.returncode} after {took:.1f} s")


def _expect_no_attempt_charged(stage: Stage) -> None:
    stage.wait(lambda: not stage.calls().open, 120, "all calls end")
    records = [record for _, record in stage.records()]
    charged = [record for record in records if record and (record.attempts != 1 or record.failures or record.deaths)]
    if charged:
        stage.misses.append(f"{len(charged)} jobs were charged an attempt")


def deploy_without_redis(stage: Stage) -> None:
    """A worker that is told to stop while Redis is away must not wait for its return."""
    stage.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    [worker] = stage.fleet.start(1, 5)
    stage.client.submit_many(5, 12)
    stage.wait_until_busy(5)
    stage.redis.end(signal.SIGKILL)
    told_at = time.time()
    worker.signal_main(signal.SIGTERM)
    stage.fleet.forget(worker)
    _expect_exit(stage, worker, GRACE_SECONDS + 2 * ON_TOP_SECONDS)
    worker.signal_main(signal.SIGKILL)
    stage.redis.start()
    stage.fleet.start(1, 5)
    stage.wait(lambda: len(stage.calls().began_after(told_at)) >= 5, stage.plan.lease_seconds + 30, "jobs go on")
    stage.back += [began - told_at for began in stage.calls().began_after(told_at)]


def deploy_with_a_suspect(stage: Stage) -> None:
    """A service manager's SIGTERM reaches the quarantine's child too: that must not count against its job."""
    stage.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    [worker] = stage.fleet.start(1, 5)
    stage.client.submit(20)
    for _ in range(2):
        stage.wait_until_busy(1, stage.plan.lease_seconds + 20)
        worker = stage.fleet.replace(worker)
        worker.wait_until_ready()
        stage.wait(lambda: not stage.calls().open, 10, "the broken call ends")
    stage.wait_until_busy(1, stage.plan.lease_seconds + 20)
    told_at = time.time()
    worker.signal_all(signal.SIGTERM)
    stage.fleet.forget(worker)
    stage.fleet.start(1, 5)
    _expect_exit(stage, worker, GRACE_SECONDS + ON_TOP_SECONDS)
    stage.wait(lambda: stage.calls().began_after(told_at), 20, "the suspect begins again")
    stage.back += [began - told_at for began in stage.calls().began_after(told_at)]


def freeze_for_two_leases(stage: Stage) -> None:
    """Its jobs run elsewhere; what it writes when it wakes is refused."""
    frozen, *_ = stage.fleet.start(3, 8)
    stage.client.submit_many(stage.plan.count(60, 40), 8)
    stage.wait_until_busy(20)
    held = stage.keys_held_by(frozen)
    frozen.signal_all(signal.SIGSTOP)
    frozen_at = time.time()
    time.sleep(2 * stage.plan.lease_seconds)
    frozen.signal_all(signal.SIGCONT)
    stage.unseen_overlaps |= held
    stage.notes.append(f"{len(held)} jobs frozen")
    stage.back += [again - frozen_at for key in held for again in stage.calls().of([key]).began_after(frozen_at)]
    stage.wait(lambda: not stage.calls().open, 120, "all calls end")
    fenced = frozen.process.output.count("lease_lost") + frozen.process.output.count("reason=lease_lost")
    stage.notes.append(f"{fenced} fenced lines in its log")
    stage.expect_back(p95=stage.plan.lease_seconds + 5 + 8)  # a slot of the others frees within the length of a job


def set_one_clock_wrong(stage: Stage) -> None:
    """Ten minutes fast, then ten minutes slow; the other worker is killed, so that the wrong one does the duties."""
    for seconds in (600, -600):
        off = {"PYTHONPATH": str(FAULT_FOLDER / "clock"), "CHAOS_CLOCK_SECONDS": str(seconds)}
        right = stage.fleet.start(1, 8)[0]
        stage.fleet.start(1, 8, **off)
        since = time.time()
        stage.client.submit_many(stage.plan.count(40, 20), 3)
        stage.wait_until_busy(10)
        stage.fleet.kill(right)
        stage.wait(lambda: stage.calls().total and not stage.unfinished(), 120, "all end under a wrong clock")
        stage.expect_comebacks(stage.plan.lease_seconds + 5 + 3, since)
        for worker in list(stage.fleet.workers):
            stage.fleet.kill(worker)
    stage.fleet.start(2, 8)


FAULTS = (
    Fault("sigterm", "SIGTERM, rolling deploy under load", deploy_under_load),
    Fault("sigterm_group", "SIGTERM to the group with a quarantined call", deploy_with_a_suspect),
    Fault("sigterm_away", "SIGTERM while Redis is away", deploy_without_redis),
    Fault("sigstop", "SIGSTOP for two leases, then SIGCONT", freeze_for_two_leases),
    Fault("clock", "clock of one worker off by 10 minutes", set_one_clock_wrong),
)
