"""Bells that come five times, late, or never."""

import time

from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault

LOST_SECONDS = 5.0  # jobs.storage.transitions.LOST_MESSAGE_SECONDS
_LIST = keys.broker_list(keys.DEFAULT_QUEUE, keys.NORMAL_PRIORITY)


def publish_five_times(environment: Environment) -> None:
    with environment.redis.client() as redis:
        environment.client.submit_many(environment.plan.count(60, 20), 2)
        messages = redis.lrange(_LIST, 0, -1)
        for _ in range(4):
            environment.random.shuffle(messages)
            redis.rpush(_LIST, *messages)
    began_at = time.time()
    environment.fleet.start(2, 10)
    environment.wait(lambda: environment.calls().total >= len(environment.client.sent), 120, "every job is called for")
    environment.back.append(environment.calls().began_after(began_at)[0] - began_at)
    if environment.calls().extra:
        environment.misses.append("a second message led to a second call")


def delay_messages(environment: Environment) -> None:
    """Taken off the list and put back, in another order, when recovery has rung for most of them already."""
    environment.fleet.start(2, 10)
    with environment.redis.client() as redis:
        environment.client.submit_many(environment.plan.count(60, 30), 2)
        held = redis.lpop(_LIST, 1000) or []
        environment.notes.append(f"{len(held)} held back")
        taken_at = time.time()
        time.sleep(LOST_SECONDS + 5)
        environment.random.shuffle(held)
        redis.rpush(_LIST, *held)
    _all_begin(environment, taken_at)


def lose_messages(environment: Environment) -> None:
    """Stolen from the list while workers take from it, some at a time, then all."""
    environment.fleet.start(2, 10)
    stolen = 0
    with environment.redis.client() as redis:
        for _ in range(environment.plan.count(6, 3)):
            environment.client.submit_many(10, 2)
            stolen += len(redis.lpop(_LIST, 5) or [])
            time.sleep(1)
        environment.client.submit_many(30, 2)
        stolen += len(redis.lpop(_LIST, 1000) or [])
    environment.notes.append(f"{stolen} stolen")
    _all_begin(environment, time.time())


def wait_in_a_long_queue(environment: Environment) -> None:
    """Nothing is lost: jobs wait for much longer than a bell may be old, and no second bell is rung."""
    environment.fleet.start(2, 5)
    environment.client.submit_many(environment.plan.count(150, 60), 2)
    republished = set()
    with environment.redis.client() as redis:
        while redis.zcard(keys.messages(keys.DEFAULT_QUEUE)) and len(republished) < 5:
            republished |= {
                job.job_id for job in environment.client.sent if redis.hexists(keys.job(job.job_id), "published_at_ms")
            }
            time.sleep(1)
    environment.back.append(0)
    if republished:
        environment.misses.append(f"{len(republished)} jobs that only waited were republished")


def _all_begin(environment: Environment, since: float) -> None:
    environment.wait(lambda: environment.calls().total >= len(environment.client.sent), 90, "every job is called for")
    environment.back += [max(0.0, began - since) for began in environment.calls().began_after(since)]
    if environment.calls().extra:
        environment.misses.append("a late message led to a second call")
    environment.expect_recovery_times(at_most=LOST_SECONDS + 25)


FAULTS = (
    Fault("messages_x5", "messages published five times, shuffled", publish_five_times),
    Fault("messages_late", "messages delayed 10 s, shuffled", delay_messages),
    Fault("messages_lost", "messages stolen from the list", lose_messages),
    Fault("long_queue", "no fault: a queue longer than a message may be old", wait_in_a_long_queue, end_seconds=200),
)
