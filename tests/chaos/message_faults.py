"""Bells that come five times, late, or never."""

import time

from jobs.storage import keys
from tests.chaos.environment import Stage
from tests.chaos.fault import Fault

LOST_SECONDS = 5.0  # jobs.storage.transitions.LOST_BELL_SECONDS
_LIST = keys.broker_list(keys.DEFAULT_QUEUE, keys.NORMAL_PRIORITY)


def ring_five_times(stage: Stage) -> None:
    with stage.redis.client() as redis:
        stage.client.submit_many(stage.plan.count(60, 20), 2)
        bells = redis.lrange(_LIST, 0, -1)
        for _ in range(4):
            stage.random.shuffle(bells)
            redis.rpush(_LIST, *bells)
    began_at = time.time()
    stage.fleet.start(2, 10)
    stage.wait(lambda: stage.calls().total >= len(stage.client.sent), 120, "every job is called for")
    stage.back.append(stage.calls().began_after(began_at)[0] - began_at)
    if stage.calls().extra:
        stage.misses.append("a second bell led to a second call")


def delay_bells(stage: Stage) -> None:
    """Taken off the list and put back, in another order, when recovery has rung for most of them already."""
    stage.fleet.start(2, 10)
    with stage.redis.client() as redis:
        stage.client.submit_many(stage.plan.count(60, 30), 2)
        held = redis.lpop(_LIST, 1000) or []
        stage.notes.append(f"{len(held)} held back")
        taken_at = time.time()
        time.sleep(LOST_SECONDS + 5)
        stage.random.shuffle(held)
        redis.rpush(_LIST, *held)
    _all_begin(stage, taken_at)


def lose_bells(stage: Stage) -> None:
    """Stolen from the list while workers take from it, some at a time, then all."""
    stage.fleet.start(2, 10)
    stolen = 0
    with stage.redis.client() as redis:
        for _ in range(stage.plan.count(6, 3)):
            stage.client.submit_many(10, 2)
            stolen += len(redis.lpop(_LIST, 5) or [])
            time.sleep(1)
        stage.client.submit_many(30, 2)
        stolen += len(redis.lpop(_LIST, 1000) or [])
    stage.notes.append(f"{stolen} stolen")
    _all_begin(stage, time.time())


def wait_in_a_long_line(stage: Stage) -> None:
    """Nothing is lost: jobs wait for much longer than a bell may be old, and no second bell is rung."""
    stage.fleet.start(2, 5)
    stage.client.submit_many(stage.plan.count(150, 60), 2)
    rung = set()
    with stage.redis.client() as redis:
        while redis.zcard(keys.bells(keys.DEFAULT_QUEUE)) and len(rung) < 5:
            rung |= {job.job_id for job in stage.client.sent if redis.hexists(keys.job(job.job_id), "rung_at_ms")}
            time.sleep(1)
    stage.back.append(0)
    if rung:
        stage.misses.append(f"{len(rung)} jobs that only waited were rung for again")


def _all_begin(stage: Stage, since: float) -> None:
    stage.wait(lambda: stage.calls().total >= len(stage.client.sent), 90, "every job is called for")
    stage.back += [max(0.0, began - since) for began in stage.calls().began_after(since)]
    if stage.calls().extra:
        stage.misses.append("a late bell led to a second call")
    stage.expect_back(at_most=LOST_SECONDS + 25)


FAULTS = (
    Fault("bells_x5", "bells rung five times, shuffled", ring_five_times),
    Fault("bells_late", "bells delayed 10 s, shuffled", delay_bells),
    Fault("bells_lost", "bells stolen from the list", lose_bells),
    Fault("bells_line", "no fault: a line longer than a bell may be old", wait_in_a_long_line, end_seconds=200),
)
