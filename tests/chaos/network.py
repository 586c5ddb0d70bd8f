"""Connections between workers and Redis that drop, flap, or say nothing any more."""

import threading
import time

from tests.chaos.environment import Environment
from tests.chaos.fault import Fault

RETURN_SECONDS = 30.0
EXTRA_CALLS_SHARE = 0.01


def drop_connections(environment: Environment) -> None:
    """Twelve times, in the middle of whatever is said."""
    _drop(environment, environment.plan.count(12, 4), (2, 5))


def flap(environment: Environment) -> None:
    """Forty times within a minute."""
    _drop(environment, environment.plan.count(40, 10), (0.3, 2))


def _drop(environment: Environment, times: int, pause: tuple[float, float]) -> None:
    proxy = environment.proxy_for_workers()
    environment.fleet.start(3, 10)
    environment.client.submit_many(environment.plan.count(60, 40), 5)  # a line, so that slots too many would be taken
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
    environment.expect_recovery_times(at_most=RETURN_SECONDS)


def _expect_slots_kept(environment: Environment) -> None:
    """A worker that connects anew must remember what it still runs."""
    most = environment.calls().max_open
    if most > environment.fleet.slots:
        environment.misses.append(f"{most} calls at once on {environment.fleet.slots} slots")


def leave_half_open(environment: Environment) -> None:
    """What is open says nothing any more and never ends; new connections work."""
    proxy = environment.proxy_for_workers()
    environment.fleet.start(3, 10)
    environment.client.submit_many(environment.plan.count(200, 80), 5)
    environment.wait_until_busy(20)
    for _ in range(environment.plan.count(2)):
        proxy.silence_open_ones()
        _time_new_claims(environment)
        time.sleep(5)
    _expect_slots_kept(environment)
    environment.expect_recovery_times(at_most=RETURN_SECONDS)


def _time_new_claims(environment: Environment) -> None:
    """From now until work has gone on for good: as many new calls as all workers have slots."""
    silent_at = time.time()
    began = environment.wait_for_a_call(silent_at + 1, RETURN_SECONDS + 40, environment.fleet.slots)
    if began is not None:
        environment.back.append(began - silent_at)


def hold_everything(environment: Environment) -> None:
    """Nothing goes through, silently, for a lease and more; then all goes through, late."""
    proxy = environment.proxy_for_workers()
    environment.fleet.start(3, 10)
    environment.client.submit_many(environment.plan.count(150, 60), 5)
    environment.wait_until_busy(20)
    proxy.go_silent()
    time.sleep(environment.plan.lease_seconds * 1.5)
    proxy.allow()
    environment.time_recovery()
    _expect_slots_kept(environment)
    environment.expect_recovery_times(at_most=RETURN_SECONDS)


def flap_at_one_and_kill_another(environment: Environment) -> None:
    """A worker whose link keeps failing must not keep the recovery duties from those whose link is good."""
    good = environment.fleet.env["REDIS_URL"]
    proxy = environment.proxy_for_workers()
    environment.fleet.start(1, 8)
    environment.fleet.env["REDIS_URL"] = good
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
    """One worker of three cannot reach Redis for two leases: its jobs run elsewhere, and it writes nothing after."""
    environment.fleet.start(2, 10)
    whole = environment.fleet.env["REDIS_URL"]
    proxy = environment.proxy_for_workers()
    [alone] = environment.fleet.start(1, 10)
    environment.fleet.env["REDIS_URL"] = whole
    environment.client.submit_many(environment.plan.count(60, 40), 6)
    environment.wait_until_busy(30)
    held = environment.keys_held_by(alone)
    proxy.go_silent()
    cut_at = time.time()
    environment.unseen_overlaps |= held
    time.sleep(environment.plan.lease_seconds * 2)
    proxy.allow()
    environment.notes.append(f"{len(held)} jobs cut off")
    environment.back += [again - cut_at for key in held for again in environment.calls().of([key]).began_after(cut_at)]
    environment.expect_recovery_times(p95=environment.plan.lease_seconds + 5 + 6)


FAULTS = (
    Fault("drops", "connections to Redis dropped, 12 times", drop_connections, extra_calls_share=EXTRA_CALLS_SHARE),
    Fault("flapping", "connections to Redis dropped, 40 times in a minute", flap, extra_calls_share=EXTRA_CALLS_SHARE),
    Fault(
        "half_open", "open connections to Redis silent for ever", leave_half_open, extra_calls_share=EXTRA_CALLS_SHARE
    ),
    Fault("silent", "Redis silent for 1.5 leases", hold_everything, extra_calls_share=EXTRA_CALLS_SHARE),
    Fault("flap_one", "one worker's link flaps, another worker SIGKILLed", flap_at_one_and_kill_another),
    Fault("cut_off", "one worker of three cut off for two leases", cut_one_worker_off),
)
