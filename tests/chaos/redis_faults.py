"""Redis that restarts, stays away, or has no memory left."""

import signal
import threading
import time

from jobs.errors import QueueFull, StoreUnavailable
from jobs.requests import ChatTask
from tests.chaos.environment import Stage
from tests.chaos.fault import EVERY_POOL, Fault
from tests.chaos.jobs_sent import Sent, order

RETURN_SECONDS = 20.0  # work goes on this soon after Redis is back
FAILS_WITHIN_SECONDS = 3.0  # a submit, when Redis is away


def stop_and_start(stage: Stage) -> None:
    _restart_under_load(stage, signal.SIGTERM)


def kill_and_start(stage: Stage) -> None:
    _restart_under_load(stage, signal.SIGKILL)


def kill_and_start_fsync_always(stage: Stage) -> None:
    stage.redis.end()
    stage.redis.appendfsync = "always"
    stage.redis.start()
    _restart_under_load(stage, signal.SIGKILL)


def _restart_under_load(stage: Stage, number: int) -> None:
    """Jobs are submitted all the while, and end all the while."""
    slots = 4 if stage.plan.pool == "prefork" else 10
    stage.fleet.start(3, slots)
    restarts = stage.plan.count(4, 2)
    feeder = threading.Thread(target=stage.submit_while, args=(restarts * 12, 0.25, 4), daemon=True)
    feeder.start()
    stage.wait_until_busy(slots)
    for _ in range(restarts):
        stage.redis.end(number)
        time.sleep(stage.random.uniform(1, 3))
        stage.redis.start()
        stage.time_return()
        time.sleep(stage.random.uniform(3, 6))
    feeder.join()
    stage.expect_back(at_most=RETURN_SECONDS)


def lose_the_last_second(stage: Stage) -> None:
    """What a host may lose with everysec: jobs of that second are gone, claims of it are undone while they run."""
    stage.fleet.start(3, 10)
    for _ in range(stage.plan.count(4, 2)):
        stage.client.submit_many(25, 4)
        stage.wait_until_busy(5)
        time.sleep(1)
        _lose_a_second(stage)
        stage.time_return()
        stage.wait(lambda: not stage.calls().open, 60 + 2 * stage.plan.lease_seconds, "the running calls end")
        time.sleep(1)
    stage.unseen_overlaps |= {job.key for job in stage.client.sent}  # their claims were undone: refused, see doubles


def _lose_a_second(stage: Stage) -> None:
    sizes, cut_at = stage.redis.log_sizes(), time.time()
    stage.client.submit_many(10, 4)
    time.sleep(1)
    stage.redis.end(signal.SIGKILL)
    stage.redis.forget_since(sizes)
    stage.redis.start()
    lost = [job for job in stage.client.sent if job.accepted_at >= cut_at]
    stage.notes.append(f"{len(lost)} jobs of the lost second")
    for job in lost:
        stage.client.sent.remove(job)


def stay_away_for_a_minute(stage: Stage) -> None:
    """Calls end meanwhile: their answers are kept until Redis takes them. A submit fails fast."""
    slots = 4 if stage.plan.pool == "prefork" else 10
    stage.fleet.start(2, slots)
    stage.client.submit_many(stage.plan.count(60, 30), 6)
    stage.wait_until_busy(2 * slots)
    stage.redis.end(signal.SIGKILL)
    away_at = time.time()
    _expect_a_fast_refusal(stage)
    time.sleep(stage.plan.count(60, 20))
    meanwhile = len(stage.calls().ended_after(away_at))
    stage.notes.append(f"{meanwhile} calls ended meanwhile")
    stage.redis.start()
    stage.time_return()
    stage.expect_back(at_most=RETURN_SECONDS)
    if stage.calls().extra:
        stage.notes.append("calls were made again")


def _expect_a_fast_refusal(stage: Stage) -> None:
    started = time.monotonic()
    try:
        _submit_once(stage)
    except StoreUnavailable:
        took = time.monotonic() - started
        stage.notes.append(f"submit refused in {took:.1f} s")
        if took > FAILS_WITHIN_SECONDS:
            stage.misses.append(f"a submit took {took:.1f} s to fail")
    else:
        stage.misses.append("a submit was accepted without Redis")


def _submit_once(stage: Stage) -> None:
    asked = order(1)
    job_id = stage.client._submitter.submit(ChatTask(kind="chat", message=asked.message)).job_id
    stage.client.note(Sent(job_id, asked.key, asked.text))


def run_out_of_memory(stage: Stage) -> None:
    """Nearly full: submits are refused, jobs go on, a worker may start. Wholly full: nothing is lost."""
    stage.fleet.start(2, 10)
    stage.client.submit_many(stage.plan.count(60, 30), 5)
    stage.wait_until_busy(20)
    with stage.redis.client() as redis:
        redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / 0.9))
        stage.wait(lambda: _refused(stage) == 5, 10, "submits are refused")
        stage.fleet.replace(stage.fleet.workers[0]).wait_until_ready()
        _expect_alive(stage)
        redis.config_set("maxmemory", 1024 * 1024)
        stage.fleet.add(10)
        time.sleep(stage.plan.lease_seconds + 5)
        stage.notes.append(f"{_refused(stage)} of 5 submits refused when wholly full")
        redis.config_set("maxmemory", 0)
    stage.time_return()
    stage.fleet.wait_until_ready()
    _expect_alive(stage)
    stage.expect_back(at_most=RETURN_SECONDS)


def _refused(stage: Stage) -> int:
    refused = 0
    for _ in range(5):
        try:
            _submit_once(stage)
        except (QueueFull, StoreUnavailable):
            refused += 1
    return refused


def _expect_alive(stage: Stage) -> None:
    dead = [worker for worker in stage.fleet.workers if not worker.is_running]
    for worker in dead:
        stage.misses.append(f"a worker exited with {worker.process.returncode}")
        stage.fleet.replace(worker)


FAULTS = (
    Fault("redis_term", "Redis SIGTERM and restart (everysec)", stop_and_start, EVERY_POOL),
    Fault("redis_kill", "Redis SIGKILL and restart (everysec)", kill_and_start, EVERY_POOL),
    Fault("redis_always", "Redis SIGKILL and restart (appendfsync always)", kill_and_start_fsync_always),
    Fault("redis_second", "Redis loses its last second, claims undone", lose_the_last_second),
    Fault("redis_away", "Redis away for 60 s, jobs end meanwhile", stay_away_for_a_minute, EVERY_POOL),
    Fault("redis_full", "Redis at its memory limit, then relieved", run_out_of_memory),
)
