"""Workers that are told to stop, and workers that freeze and wake up again."""

import signal
import threading
import time

from tests.chaos.environment import FAULT_FOLDER, Environment
from tests.chaos.fault import Fault
from tests.chaos.worker_fleet import Worker

GRACE_SECONDS = 3.0
ON_TOP_SECONDS = 2.0


def deploy_under_load(environment: Environment) -> None:
    """Each worker in turn gets SIGTERM when its successor is ready; jobs last longer than the grace period."""
    environment.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    environment.fleet.start(3, 8)
    feeder = threading.Thread(target=environment.submit_while, args=(30, 0.5, 8), daemon=True)
    feeder.start()
    environment.wait_until_busy(10)
    for worker in list(environment.fleet.workers):
        _deploy(environment, worker)
    feeder.join()
    _expect_no_attempt_charged(environment)


def _deploy(environment: Environment, worker: Worker) -> None:
    environment.fleet.start(1, worker.slots)
    told_at = time.time()
    worker.signal_main(signal.SIGTERM)
    environment.fleet.retire(worker)
    _expect_exit(environment, worker, GRACE_SECONDS + ON_TOP_SECONDS)
    time.sleep(ON_TOP_SECONDS)
    back = [found.began_again - told_at for found in environment.resumptions() if found.broke_at >= told_at]
    environment.back += back
    if back and max(back) > GRACE_SECONDS + ON_TOP_SECONDS:
        environment.misses.append(f"elsewhere only {max(back):.1f} s after SIGTERM")


def _expect_exit(environment: Environment, worker: Worker, within: float) -> None:
    started = time.monotonic()
    environment.wait(lambda: not worker.is_running, within + 30, "the worker exits")
    took = time.monotonic() - started
    environment.notes.append(f"exit {worker.process.returncode} after {took:.1f} s")
    if took > within or worker.process.returncode != 0:
        environment.misses.append(f"exit {worker.process.returncode} after {took:.1f} s")


def _expect_no_attempt_charged(environment: Environment) -> None:
    environment.wait(lambda: not environment.calls().open, 120, "all calls end")
    records = [record for _, record in environment.records()]
    charged = [
        record for record in records if record and (record.attempts != 1 or record.failures or record.worker_losses)
    ]
    if charged:
        environment.misses.append(f"{len(charged)} jobs were charged an attempt")


def deploy_without_redis(environment: Environment) -> None:
    """A worker that is told to stop while Redis is away must not wait for its return."""
    environment.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    [worker] = environment.fleet.start(1, 5)
    environment.client.submit_many(5, 12)
    environment.wait_until_busy(5)
    environment.redis.end(signal.SIGKILL)
    told_at = time.time()
    worker.signal_main(signal.SIGTERM)
    environment.fleet.retire(worker)
    _expect_exit(environment, worker, GRACE_SECONDS + 2 * ON_TOP_SECONDS)
    worker.signal_main(signal.SIGKILL)
    environment.redis.start()
    environment.fleet.start(1, 5)
    environment.wait(
        lambda: len(environment.calls().began_after(told_at)) >= 5, environment.plan.lease_seconds + 30, "jobs go on"
    )
    environment.back += [began - told_at for began in environment.calls().began_after(told_at)]


def deploy_with_a_quarantined_job(environment: Environment) -> None:
    """A service manager's SIGTERM reaches the quarantine's child too: that must not count against its job."""
    environment.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    [worker] = environment.fleet.start(1, 5)
    environment.client.submit(20)
    for _ in range(2):
        environment.wait_until_busy(1, environment.plan.lease_seconds + 20)
        worker = environment.fleet.replace(worker)
        worker.wait_until_ready()
        environment.wait(lambda: not environment.calls().open, 10, "the broken call ends")
    environment.wait_until_busy(1, environment.plan.lease_seconds + 20)
    told_at = time.time()
    worker.signal_all(signal.SIGTERM)
    environment.fleet.retire(worker)
    environment.fleet.start(1, 5)
    _expect_exit(environment, worker, GRACE_SECONDS + ON_TOP_SECONDS)
    environment.wait(lambda: environment.calls().began_after(told_at), 20, "the suspect begins again")
    environment.back += [began - told_at for began in environment.calls().began_after(told_at)]


def freeze_for_two_leases(environment: Environment) -> None:
    """Its jobs run elsewhere; what it writes when it wakes is refused."""
    frozen, *_ = environment.fleet.start(3, 8)
    environment.client.submit_many(environment.plan.count(60, 40), 8)
    environment.wait_until_busy(20)
    held = environment.keys_held_by(frozen)
    frozen.signal_all(signal.SIGSTOP)
    frozen_at = time.time()
    time.sleep(2 * environment.plan.lease_seconds)
    frozen.signal_all(signal.SIGCONT)
    environment.unseen_overlaps |= held
    environment.notes.append(f"{len(held)} jobs frozen")
    environment.back += [
        again - frozen_at for key in held for again in environment.calls().of([key]).began_after(frozen_at)
    ]
    environment.wait(lambda: not environment.calls().open, 120, "all calls end")
    fenced = frozen.process.output.count("lease_lost") + frozen.process.output.count("reason=lease_lost")
    environment.notes.append(f"{fenced} fenced lines in its log")
    environment.expect_recovery_times(
        p95=environment.plan.lease_seconds + 5 + 8
    )  # a slot of the others frees within the length of a job


def set_one_clock_wrong(environment: Environment) -> None:
    """Ten minutes fast, then ten minutes slow; the other worker is killed, so that the wrong one does the duties."""
    for seconds in (600, -600):
        off = {"PYTHONPATH": str(FAULT_FOLDER / "clock"), "CHAOS_CLOCK_SECONDS": str(seconds)}
        right = environment.fleet.start(1, 8)[0]
        environment.fleet.start(1, 8, **off)
        since = time.time()
        environment.client.submit_many(environment.plan.count(40, 20), 3)
        environment.wait_until_busy(10)
        environment.fleet.kill(right)
        environment.wait(
            lambda: environment.calls().total and not environment.unfinished(), 120, "all end under a wrong clock"
        )
        environment.expect_resumptions(environment.plan.lease_seconds + 5 + 3, since)
        for worker in list(environment.fleet.workers):
            environment.fleet.kill(worker)
    environment.fleet.start(2, 8)


FAULTS = (
    Fault("sigterm", "SIGTERM, rolling deploy under load", deploy_under_load),
    Fault("sigterm_group", "SIGTERM to the group with a quarantined call", deploy_with_a_quarantined_job),
    Fault("sigterm_away", "SIGTERM while Redis is away", deploy_without_redis),
    Fault("sigstop", "SIGSTOP for two leases, then SIGCONT", freeze_for_two_leases),
    Fault("clock", "clock of one worker off by 10 minutes", set_one_clock_wrong),
)
