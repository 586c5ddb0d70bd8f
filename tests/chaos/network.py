"""Connections between workers and Redis that drop, flap, or say nothing any more."""

import threading
import time

from tests.chaos.environment import Stage
from tests.chaos.fault import Fault

RETURN_SECONDS = 30.0
EXTRA_CALLS_SHARE = 0.01


def drop_connections(stage: Stage) -> None:
    """Twelve times, in the middle of whatever is said."""
    _drop(stage, stage.plan.count(12, 4), (2, 5))


def flap(stage: Stage) -> None:
    """Forty times within a minute."""
    _drop(stage, stage.plan.count(40, 10), (0.3, 2))


def _drop(stage: Stage, times: int, pause: tuple[float, float]) -> None:
    proxy = stage.proxy_for_workers()
    stage.fleet.start(3, 10)
    stage.client.submit_many(stage.plan.count(60, 40), 5)  # a line, so that slots too many would be taken
    feeder = threading.Thread(target=stage.submit_while, args=(times * sum(pause) / 2 + 15, 0.2, 5), daemon=True)
    feeder.start()
    stage.wait_until_busy(20)
    dropped = 0
    for _ in range(times):
        dropped += proxy.drop()
        time.sleep(stage.random.uniform(*pause))
    stage.notes.append(f"{dropped} connections cut")
    stage.time_return()
    feeder.join()
    _expect_slots_kept(stage)
    stage.expect_back(at_most=RETURN_SECONDS)


def _expect_slots_kept(stage: Stage) -> None:
    """A worker that connects anew must remember what it still runs."""
    most = stage.calls().most_open
    if most > stage.fleet.slots:
        stage.misses.append(f"{most} calls at once on {stage.fleet.slots} slots")


def leave_half_open(stage: Stage) -> None:
    """What is open says nothing any more and never ends; new connections work."""
    proxy = stage.proxy_for_workers()
    stage.fleet.start(3, 10)
    stage.client.submit_many(stage.plan.count(200, 80), 5)
    stage.wait_until_busy(20)
    for _ in range(stage.plan.count(2)):
        proxy.silence_open_ones()
        _time_new_claims(stage)
        time.sleep(5)
    _expect_slots_kept(stage)
    stage.expect_back(at_most=RETURN_SECONDS)


def _time_new_claims(stage: Stage) -> None:
    """From now until work has gone on for good: as many new calls as all workers have slots."""
    silent_at = time.time()
    began = stage.wait_for_a_call(silent_at + 1, RETURN_SECONDS + 40, stage.fleet.slots)
    if began is not None:
        stage.back.append(began - silent_at)


def hold_everything(stage: Stage) -> None:
    """Nothing goes through, silently, for a lease and more; then all goes through, late."""
    proxy = stage.proxy_for_workers()
    stage.fleet.start(3, 10)
    stage.client.submit_many(stage.plan.count(150, 60), 5)
    stage.wait_until_busy(20)
    proxy.go_silent()
    time.sleep(stage.plan.lease_seconds * 1.5)
    proxy.allow()
    stage.time_return()
    _expect_slots_kept(stage)
    stage.expect_back(at_most=RETURN_SECONDS)


def flap_at_one_and_kill_another(stage: Stage) -> None:
    """A worker whose link keeps failing must not keep the recovery duties from those whose link is good."""
    good = stage.fleet.env["REDIS_URL"]
    proxy = stage.proxy_for_workers()
    stage.fleet.start(1, 8)
    stage.fleet.env["REDIS_URL"] = good
    _, victim = stage.fleet.start(2, 8)
    stage.client.submit_many(24, 2 * stage.plan.lease_seconds)
    stage.wait_until_busy(20)
    killed_at = time.time()
    stage.fleet.replace(victim)
    while time.time() < killed_at + 2 * stage.plan.lease_seconds:
        proxy.drop()
        time.sleep(stage.random.uniform(1, 3))
    stage.expect_comebacks(stage.plan.lease_seconds + 5, killed_at - 1)


def cut_one_worker_off(stage: Stage) -> None:
    """One worker of three cannot reach Redis for two leases: its jobs run elsewhere, and it writes nothing after."""
    stage.fleet.start(2, 10)
    whole = stage.fleet.env["REDIS_URL"]
    proxy = stage.proxy_for_workers()
    [alone] = stage.fleet.start(1, 10)
    stage.fleet.env["REDIS_URL"] = whole
    stage.client.submit_many(stage.plan.count(60, 40), 6)
    stage.wait_until_busy(30)
    held = stage.keys_held_by(alone)
    proxy.go_silent()
    cut_at = time.time()
    stage.unseen_overlaps |= held
    time.sleep(stage.plan.lease_seconds * 2)
    proxy.allow()
    stage.notes.append(f"{len(held)} jobs cut off")
    stage.back += [again - cut_at for key in held for again in stage.calls().of([key]).began_after(cut_at)]
    stage.expect_back(p95=stage.plan.lease_seconds + 5 + 6)


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
