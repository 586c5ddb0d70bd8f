"""Connections between workers and Redis that drop, flap or stall."""

import threading
import time

from tests.chaos.environment import Environment
from tests.chaos.fault import Fault

RECOVERY_SECONDS = 30.0
EXTRA_CALLS_SHARE = 0.01


def drop_connections(environment: Environment) -> None:
    """Drop all connections twelve times, in the middle of commands."""
    _drop(environment, environment.plan.count(12, 4), (2, 5))


def flap(environment: Environment) -> None:
    """Drop all connections forty times within a minute."""
    _drop(environment, environment.plan.count(40, 10), (0.3, 2))


def _drop(environment: Environment, times: int, pause: tuple[float, float]) -> None:
    proxy = environment.proxy_for_workers()
    environment.fleet.start(3, 10)
    environment.client.submit_many(environment.plan.count(60, 40), 5)  # a backlog, so that a surplus slot would be used
    feeder = threading.Thread(target=environment.submit_while, args=(times * sum(pause) / 2 + 15, 0.2, 5), daemon=True)
    feeder.start()
    environment.wait_until_busy(20)
    dropped = 0
    for _ in range(times):
        dropped += proxy.drop()
        time.sleep(environment.random.uniform(*pause))
    environment.notes.append(f"{dropped} connections cut")
    environment.time_recovery()
    feeder.join()
    _expect_slots_kept(environment)
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


def _expect_slots_kept(environment: Environment) -> None:
    """A worker that reconnects must still count its running jobs: it may not exceed its slots."""
    max_calls = environment.calls().max_open
    if max_calls > environment.fleet.slots:
        environment.failures.append(f"{max_calls} simultaneous calls on {environment.fleet.slots} slots")


def leave_half_open(environment: Environment) -> None:
    """Open connections stall forever without being closed. New connections work."""
    proxy = environment.proxy_for_workers()
    environment.fleet.start(3, 10)
    environment.client.submit_many(environment.plan.count(200, 80), 5)
    environment.wait_until_busy(20)
    for _ in range(environment.plan.count(2)):
        proxy.stall_open_connections()
        _time_new_claims(environment)
        time.sleep(5)
    _expect_slots_kept(environment)
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


def _time_new_claims(environment: Environment) -> None:
    """Record the time until work has fully resumed: as many new calls as all workers have slots."""
    stalled_at = time.time()
    started_at = environment.wait_for_a_call(stalled_at + 1, RECOVERY_SECONDS + 40, environment.fleet.slots)
    if started_at is not None:
        environment.recovery_seconds.append(started_at - stalled_at)


def stall_everything(environment: Environment) -> None:
    """All connections stall for 1.5 leases. Then everything is delivered, late."""
    proxy = environment.proxy_for_workers()
    environment.fleet.start(3, 10)
    environment.client.submit_many(environment.plan.count(150, 60), 5)
    environment.wait_until_busy(20)
    proxy.stall()
    time.sleep(environment.plan.lease_seconds * 1.5)
    proxy.restore()
    environment.time_recovery()
    _expect_slots_kept(environment)
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


def flap_at_one_and_kill_another(environment: Environment) -> None:
    """A worker whose connection keeps failing must not prevent the others from becoming the leader."""
    redis_url = environment.fleet.env["REDIS_URL"]
    proxy = environment.proxy_for_workers()
    environment.fleet.start(1, 8)
    environment.fleet.env["REDIS_URL"] = redis_url
    _, victim = environment.fleet.start(2, 8)
    environment.client.submit_many(24, 2 * environment.plan.lease_seconds)
    environment.wait_until_busy(20)
    killed_at = time.time()
    environment.fleet.replace(victim)
    while time.time() < killed_at + 2 * environment.plan.lease_seconds:
        proxy.drop()
        time.sleep(environment.random.uniform(1, 3))
    environment.expect_resumptions(environment.plan.lease_seconds + 5, killed_at - 1)


def cut_one_worker_off(environment: Environment) -> None:
    """One worker of three cannot reach Redis for two leases. Others run its jobs, and its late writes are rejected."""
    environment.fleet.start(2, 10)
    redis_url = environment.fleet.env["REDIS_URL"]
    proxy = environment.proxy_for_workers()
    [isolated] = environment.fleet.start(1, 10)
    environment.fleet.env["REDIS_URL"] = redis_url
    environment.client.submit_many(environment.plan.count(60, 40), 6)
    environment.wait_until_busy(30)
    held_keys = environment.keys_held_by(isolated)
    proxy.stall()
    cut_at = time.time()
    environment.unseen_overlaps |= held_keys
    time.sleep(environment.plan.lease_seconds * 2)
    proxy.restore()
    environment.notes.append(f"{len(held_keys)} jobs cut off")
    environment.recovery_seconds += [
        resumed_at - cut_at for key in held_keys for resumed_at in environment.calls().of([key]).started_after(cut_at)
    ]
    environment.expect_recovery_times(p95=environment.plan.lease_seconds + 5 + 6)


FAULTS = (
    Fault("drops", "connections to Redis dropped, 12 times", drop_connections, extra_calls_share=EXTRA_CALLS_SHARE),
    Fault("flapping", "connections to Redis dropped, 40 times in a minute", flap, extra_calls_share=EXTRA_CALLS_SHARE),
    Fault("half_open", "open connections to Redis stall forever", leave_half_open, extra_calls_share=EXTRA_CALLS_SHARE),
    Fault(
        "silent", "all connections to Redis stall for 1.5 leases", stall_everything, extra_calls_share=EXTRA_CALLS_SHARE
    ),
    Fault("flap_one", "one worker's connection flaps, SIGKILL of another worker", flap_at_one_and_kill_another),
    Fault("cut_off", "one worker of three cut off for two leases", cut_one_worker_off),
)
