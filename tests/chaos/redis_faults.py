"""Redis that restarts, stays down or runs out of memory."""

import signal
import threading
import time

from jobs.errors import QueueFull, StoreUnavailable
from jobs.kinds.chat import ChatTask
from tests.chaos.environment import Environment
from tests.chaos.fault import EVERY_POOL, Fault
from tests.chaos.jobs_sent import AcceptedJob, make_job_spec

RECOVERY_SECONDS = 20.0  # limit until work continues after Redis has returned
FAILS_WITHIN_SECONDS = 3.0  # limit of a submit while Redis is down


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
    """Restart Redis while jobs are submitted and finish."""
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
    """A power loss with everysec: jobs of the last second are lost, and its claims are undone while the jobs run."""
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
    }  # their claims were undone: late writes are rejected, and doubles stay 0


def _lose_a_second(environment: Environment) -> None:
    sizes, cut_at = environment.redis.log_sizes(), time.time()
    environment.client.submit_many(10, 4)
    time.sleep(1)
    environment.redis.end(signal.SIGKILL)
    environment.redis.truncate_since(sizes)
    environment.redis.start()
    lost = [job for job in environment.client.sent if job.accepted_at >= cut_at]
    environment.notes.append(f"{len(lost)} jobs accepted in the lost second")
    for job in lost:
        environment.client.sent.remove(job)


def stay_away_for_a_minute(environment: Environment) -> None:
    """Calls end during the outage; workers keep the answers until Redis returns. A submit fails fast."""
    slots = 4 if environment.plan.pool == "prefork" else 10
    environment.fleet.start(2, slots)
    environment.client.submit_many(environment.plan.count(60, 30), 6)
    environment.wait_until_busy(2 * slots)
    environment.redis.end(signal.SIGKILL)
    down_at = time.time()
    _expect_fast_rejection(environment)
    time.sleep(environment.plan.count(60, 20))
    ended = len(environment.calls().ended_after(down_at))
    environment.notes.append(f"{ended} calls ended during the outage")
    environment.redis.start()
    environment.time_recovery()
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)
    if environment.calls().extra:
        environment.notes.append("calls were repeated")


def _expect_fast_rejection(environment: Environment) -> None:
    started = time.monotonic()
    try:
        _submit_once(environment)
    except StoreUnavailable:
        seconds = time.monotonic() - started
        environment.notes.append(f"submit rejected in {seconds:.1f} s")
        if seconds > FAILS_WITHIN_SECONDS:
            environment.failures.append(f"a submit took {seconds:.1f} s to fail")
    else:
        environment.failures.append("a submit was accepted without Redis")


def _submit_once(environment: Environment) -> None:
    spec = make_job_spec(1)
    job_id = environment.client._submitter.submit(ChatTask(kind="chat", message=spec.message)).job_id
    environment.client.record(AcceptedJob(job_id, spec.key, spec.text))


def run_out_of_memory(environment: Environment) -> None:
    """Nearly full: submits are rejected, jobs continue, workers start. Completely full: nothing is lost."""
    environment.fleet.start(2, 10)
    environment.client.submit_many(environment.plan.count(60, 30), 5)
    environment.wait_until_busy(20)
    with environment.redis.client() as redis:
        redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] / 0.9))
        environment.wait(lambda: _count_rejected(environment) == 5, 10, "submits are rejected")
        environment.fleet.replace(environment.fleet.workers[0]).wait_until_ready()
        _expect_alive(environment)
        redis.config_set("maxmemory", 1024 * 1024)
        environment.fleet.add(10)
        time.sleep(environment.plan.lease_seconds + 5)
        environment.notes.append(f"{_count_rejected(environment)} of 5 submits rejected when completely full")
        redis.config_set("maxmemory", 0)
    environment.time_recovery()
    environment.fleet.wait_until_ready()
    _expect_alive(environment)
    environment.expect_recovery_times(at_most=RECOVERY_SECONDS)


def _count_rejected(environment: Environment) -> int:
    rejected = 0
    for _ in range(5):
        try:
            _submit_once(environment)
        except (QueueFull, StoreUnavailable):
            rejected += 1
    return rejected


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
    Fault("redis_away", "Redis down for 60 s while jobs end", stay_away_for_a_minute, EVERY_POOL),
    Fault("redis_full", "Redis at its memory limit, then the limit is lifted", run_out_of_memory),
)
