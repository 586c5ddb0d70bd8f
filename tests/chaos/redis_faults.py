"""Redis that restarts, stays away, or has no memory left."""

import signal
import threading
import time

from jobs.errors import QueueFull, StoreUnavailable
from jobs.kinds.chat import ChatTask
from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault
from tests.chaos.jobs_sent import AcceptedJob, make_job_spec

RECOVERY_SECONDS = 20.0  # work goes on this soon after Redis is back
FAILS_WITHIN_SECONDS = 3.0  # a submit, when Redis is away


def stop_and_start(environment: Environment) -> None:
    _restart_under_load(environment, signal.SIGTERM)


def kill_and_start(environment: Environment) -> None:
    _restart_under_load(environment, signal.SIGKILL)


def kill_and_start_fsync_always(environment: Environment) -> None:
    environment.redis.end()
    environment.redis.appendfsync = "always"
    environment.redis.start()
    _restart_under_load(environment, signal.SIGKILL)


def _restart_under_load(environment: Environment, number: int) -> None:
    """Jobs are submitted all the while, and end all the while."""
    slots = 4 if environment.plan.pool == "prefork" else 10
    environment.fleet.start(3, slots)
    restarts = environment.plan.count(4, 2)
    feeder = threading.Thread(target=environment.submit_while, args=(restarts * 12, 0.25, 4), daemon=True)
    feeder.start()
    environment.wait_until_busy(slots)
    for _ in range(restarts):
        environment.redis.end(number)
        time.sleep(environment.random.uniform(1, 3))
        environment.redis.start()
        environment.time_recovery()
        time.sleep(environment.random.uniform(3, 6))
    feeder.join()
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


def lose_the_last_second(environment: Environment) -> None:
    """What a host may lose with everysec: jobs of that second are gone, claims of it are undone while they run."""
    environment.fleet.start(3, 10)
    for _ in range(environment.plan.count(4, 2)):
        environment.client.submit_many(25, 4)
        environment.wait_until_busy(5)
        time.sleep(1)
        _lose_a_second(environment)
        environment.time_recovery()
        environment.wait(
            lambda: not environment.calls().open, 60 + 2 * environment.plan.lease_seconds, "the running calls end"
        )
        time.sleep(1)
    environment.unseen_overlaps |= {
        job.key for job in environment.client.sent
    }  # their claims were undone: refused, see doubles


def _lose_a_second(environment: Environment) -> None:
    sizes, cut_at = environment.redis.log_sizes(), time.time()
    environment.client.submit_many(10, 4)
    time.sleep(1)
    environment.redis.end(signal.SIGKILL)
    environment.redis.truncate_since(sizes)
    environment.redis.start()
    lost = [job for job in environment.client.sent if job.accepted_at >= cut_at]
    environment.notes.append(f"{len(lost)} jobs of the lost second")
    for job in lost:
        environment.client.sent.remove(job)


def stay_away_for_a_minute(environment: Environment) -> None:
    """Calls end meanwhile: their answers are kept until Redis takes them. A submit fails fast."""
    slots = 4 if environment.plan.pool == "prefork" else 10
    environment.fleet.start(2, slots)
    environment.client.submit_many(environment.plan.count(60, 30), 6)
    environment.wait_until_busy(2 * slots)
    environment.redis.end(signal.SIGKILL)
    away_at = time.time()
    _expect_a_fast_refusal(environment)
    time.sleep(environment.plan.count(60, 20))
    meanwhile = len(environment.calls().ended_after(away_at))
    environment.notes.append(f"{meanwhile} calls ended meanwhile")
    environment.redis.start()
    environment.time_recovery()
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)
    if environment.calls().extra:
        environment.notes.append("calls were made again")


def _expect_a_fast_refusal(environment: Environment) -> None:
    started = time.monotonic()
    try:
        _submit_once(environment)
    except StoreUnavailable:
        seconds = time.monotonic() - started
        environment.notes.append(f"submit refused in {seconds:.1f} s")
        if seconds > FAILS_WITHIN_SECONDS:
            environment.failures.append(f"a submit took {seconds:.1f} s to fail")
    else:
        environment.failures.append("a submit was accepted without Redis")


def _submit_once(environment: Environment) -> None:
    spec = make_job_spec(1)
    job_id = environment.client._submitter.submit(ChatTask(kind="chat", message=spec.message)).job_id
    environment.client.record(AcceptedJob(job_id, spec.key, spec.text))


def run_out_of_memory(environment: Environment) -> None:
    """Nearly full: submits are refused, jobs go on, a worker may start. Wholly full: nothing is lost."""
    environment.fleet.start(2, 10)
    environment.client.submit_many(environment.plan.count(60, 30), 5)
    environment.wait_until_busy(20)
    with environment.redis.client() as redis:
        redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / 0.9))
        environment.wait(lambda: _refused(environment) == 5, 10, "submits are refused")
        environment.fleet.replace(environment.fleet.workers[0]).wait_until_ready()
        _expect_alive(environment)
        redis.config_set("maxmemory", 1024 * 1024)
        environment.fleet.add(10)
        time.sleep(environment.plan.lease_seconds + 5)
        environment.notes.append(f"{_refused(environment)} of 5 submits refused when wholly full")
        redis.config_set("maxmemory", 0)
    environment.time_recovery()
    environment.fleet.wait_until_ready()
    _expect_alive(environment)
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


def _refused(environment: Environment) -> int:
    refused = 0
    for _ in range(5):
        try:
            _submit_once(environment)
        except (QueueFull, StoreUnavailable):
            refused += 1
    return refused


def _expect_alive(environment: Environment) -> None:
    dead = [worker for worker in environment.fleet.workers if not worker.is_running]
    for worker in dead:
        environment.failures.append(f"a worker exited with {worker.process.returncode}")
        environment.fleet.replace(worker)


FAULTS = (
    Fault("redis_term", "Redis SIGTERM and restart (everysec)", stop_and_start, EVERY_POOL),
    Fault("redis_kill", "Redis SIGKILL and restart (everysec)", kill_and_start, EVERY_POOL),
    Fault("redis_always", "Redis SIGKILL and restart (appendfsync always)", kill_and_start_fsync_always),
    Fault("redis_second", "Redis loses its last second, claims undone", lose_the_last_second),
    Fault("redis_away", "Redis away for 60 s, jobs end meanwhile", stay_away_for_a_minute, EVERY_POOL),
    Fault("redis_full", "Redis at its memory limit, then relieved", run_out_of_memory),
)
