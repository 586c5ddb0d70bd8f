"""Workers that receive SIGTERM or SIGQUIT, and workers that freeze and wake up."""

import signal
import threading
import time

from jobs.states import State
from tests.chaos.environment import FAULT_FOLDER, Environment
from tests.chaos.fault import EVERY_POOL, Fault
from tests.chaos.worker_fleet import Worker

GRACE_SECONDS = 3.0
MARGIN_SECONDS = 2.0
COLD_STOP_SECONDS = 1.0  # within which a cold stop gives all jobs back


def deploy_under_load(environment: Environment) -> None:
    """Each worker in turn receives SIGTERM when its successor is ready. Jobs take longer than the grace period."""
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
    signalled_at = time.time()
    worker.signal_main(signal.SIGTERM)
    environment.fleet.retire(worker)
    _expect_exit(environment, worker, GRACE_SECONDS + MARGIN_SECONDS)
    time.sleep(MARGIN_SECONDS)
    recovery_seconds = [
        resumption.resumed_at - signalled_at
        for resumption in environment.resumptions()
        if resumption.broken_at >= signalled_at
    ]
    environment.recovery_seconds += recovery_seconds
    if recovery_seconds and max(recovery_seconds) > GRACE_SECONDS + MARGIN_SECONDS:
        environment.failures.append(f"resumed only {max(recovery_seconds):.1f} s after SIGTERM")


def _expect_exit(environment: Environment, worker: Worker, within: float) -> None:
    started = time.monotonic()
    environment.wait(lambda: not worker.is_running, within + 30, "the worker exits")
    seconds = time.monotonic() - started
    environment.notes.append(f"exit {worker.process.returncode} after {seconds:.1f} s")
    if seconds > within or worker.process.returncode != 0:
        environment.failures.append(f"exit {worker.process.returncode} after {seconds:.1f} s")


def _expect_no_attempt_charged(environment: Environment) -> None:
    environment.wait(lambda: not environment.calls().open, 120, "all calls end")
    records = [record for _, record in environment.records()]
    charged = [
        record for record in records if record and (record.attempts != 1 or record.failures or record.worker_losses)
    ]
    if charged:
        environment.failures.append(f"{len(charged)} jobs were charged an attempt")


def deploy_without_redis(environment: Environment) -> None:
    """A worker that receives SIGTERM during a Redis outage must not wait for Redis to return."""
    environment.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    [worker] = environment.fleet.start(1, 5)
    environment.client.submit_many(5, 12)
    environment.wait_until_busy(5)
    environment.redis.end(signal.SIGKILL)
    signalled_at = time.time()
    worker.signal_main(signal.SIGTERM)
    environment.fleet.retire(worker)
    _expect_exit(environment, worker, GRACE_SECONDS + 2 * MARGIN_SECONDS)
    worker.signal_main(signal.SIGKILL)
    environment.redis.start()
    environment.fleet.start(1, 5)
    environment.wait(
        lambda: len(environment.calls().started_after(signalled_at)) >= 5,
        environment.plan.lease_seconds + 30,
        "jobs continue",
    )
    environment.recovery_seconds += [
        started_at - signalled_at for started_at in environment.calls().started_after(signalled_at)
    ]


def stop_cold_at_any_moment(environment: Environment) -> None:
    """SIGQUIT while messages arrive, jobs are claimed, started and streamed. Each worker gives all of them back."""
    for _ in range(5):
        environment.submit(10)
    for _ in range(environment.plan.count(20, 2)):
        [worker] = environment.fleet.start(1, 8)
        time.sleep(environment.random.uniform(0, 1.5))
        environment.submit(10)
        time.sleep(environment.random.choice((0.0, 0.01, 0.1)))
        _stop_cold(environment, worker)
    environment.expect_recovery_times(at_most=COLD_STOP_SECONDS)
    environment.fleet.start(2, 15)


def _stop_cold(environment: Environment, worker: Worker) -> None:
    signalled_at = time.monotonic()
    worker.signal_main(signal.SIGQUIT)
    environment.fleet.retire(worker)
    environment.wait(lambda: _all_given_back(environment), 5, "all jobs are given back")
    environment.recovery_seconds.append(time.monotonic() - signalled_at)
    environment.wait(lambda: not worker.is_running, 10, "the worker exits")
    if not _all_given_back(environment) or worker.process.returncode != 0:
        environment.failures.append(f"a cold stop ended with code {worker.process.returncode}, or kept a job")


def _all_given_back(environment: Environment) -> bool:
    """Whether every job is queued, and no attempt is counted."""
    records = [record for _, record in environment.records()]
    return all(
        record and record.state is State.QUEUED and not record.attempts + record.failures + record.worker_losses
        for record in records
    )


def deploy_with_a_quarantined_job(environment: Environment) -> None:
    """A service manager's SIGTERM also reaches the quarantine process. It must not count as a failure of the job."""
    environment.fleet.env["CHATQUEUE_GRACE_SECONDS"] = str(GRACE_SECONDS)
    [worker] = environment.fleet.start(1, 5)
    environment.client.submit(20)
    for _ in range(2):
        environment.wait_until_busy(1, environment.plan.lease_seconds + 20)
        worker = environment.fleet.replace(worker)
        worker.wait_until_ready()
        environment.wait(lambda: not environment.calls().open, 10, "the broken call ends")
    environment.wait_until_busy(1, environment.plan.lease_seconds + 20)
    signalled_at = time.time()
    worker.signal_all(signal.SIGTERM)
    environment.fleet.retire(worker)
    environment.fleet.start(1, 5)
    _expect_exit(environment, worker, GRACE_SECONDS + MARGIN_SECONDS)
    environment.wait(lambda: environment.calls().started_after(signalled_at), 20, "the quarantined job begins again")
    environment.recovery_seconds += [
        started_at - signalled_at for started_at in environment.calls().started_after(signalled_at)
    ]


def freeze_for_two_leases(environment: Environment) -> None:
    """Other workers run the jobs of the frozen one. Its writes are rejected when it wakes up."""
    frozen, *_ = environment.fleet.start(3, 8)
    environment.client.submit_many(environment.plan.count(60, 40), 8)
    environment.wait_until_busy(20)
    held_keys = environment.keys_held_by(frozen)
    frozen.signal_all(signal.SIGSTOP)
    frozen_at = time.time()
    time.sleep(2 * environment.plan.lease_seconds)
    frozen.signal_all(signal.SIGCONT)
    environment.unseen_overlaps |= held_keys
    environment.notes.append(f"{len(held_keys)} jobs frozen")
    environment.recovery_seconds += [
        resumed_at - frozen_at
        for key in held_keys
        for resumed_at in environment.calls().of([key]).started_after(frozen_at)
    ]
    environment.wait(lambda: not environment.calls().open, 120, "all calls end")
    fenced = frozen.process.output.count("lease_lost") + frozen.process.output.count("reason=lease_lost")
    environment.notes.append(f"{fenced} rejected writes in its log")
    environment.expect_recovery_times(
        p95=environment.plan.lease_seconds + 5 + 8
    )  # another worker frees a slot within the length of a job


def set_one_clock_wrong(environment: Environment) -> None:
    """A clock ten minutes fast, then slow. The other worker is killed, so that the wrong one becomes the leader."""
    for seconds in (600, -600):
        wrong_clock_env = {"PYTHONPATH": str(FAULT_FOLDER / "clock"), "CHAOS_CLOCK_SECONDS": str(seconds)}
        right_worker = environment.fleet.start(1, 8)[0]
        environment.fleet.start(1, 8, **wrong_clock_env)
        since = time.time()
        environment.client.submit_many(environment.plan.count(40, 20), 3)
        environment.wait_until_busy(10)
        environment.fleet.kill(right_worker)
        environment.wait(
            lambda: environment.calls().total and not environment.unfinished(),
            120,
            "all jobs end despite the wrong clock",
        )
        environment.expect_resumptions(environment.plan.lease_seconds + 5 + 3, since)
        for worker in list(environment.fleet.workers):
            environment.fleet.kill(worker)
    environment.fleet.start(2, 8)


FAULTS = (
    Fault("sigterm", "SIGTERM, rolling deploy under load", deploy_under_load),
    Fault("sigterm_group", "SIGTERM to the group with a quarantined call", deploy_with_a_quarantined_job),
    Fault("sigterm_away", "SIGTERM while Redis is away", deploy_without_redis),
    Fault("sigquit", "SIGQUIT at any moment", stop_cold_at_any_moment, pools=EVERY_POOL),
    Fault("sigstop", "SIGSTOP for two leases, then SIGCONT", freeze_for_two_leases),
    Fault("clock", "clock of one worker off by 10 minutes", set_one_clock_wrong),
)
