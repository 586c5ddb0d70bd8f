"""Messages that are delivered five times, late or never."""

import time

from jobs.priorities import NORMAL_PRIORITY
from jobs.storage import keys
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault

LOST_SECONDS = 5.0  # jobs.storage.transitions.LOST_MESSAGE_SECONDS
_LIST = keys.broker_list(keys.DEFAULT_QUEUE, NORMAL_PRIORITY)


def publish_five_times(environment: Environment) -> None:
    """Every message is delivered five times, in random order. Each job must be called once."""
    with environment.redis.client() as redis:
        environment.client.submit_many(environment.plan.count(60, 20), 2)
        messages = redis.lrange(_LIST, 0, -1)
        for _ in range(4):
            environment.random.shuffle(messages)
            redis.rpush(_LIST, *messages)
    started_at = time.time()
    environment.fleet.start(2, 10)
    environment.wait(lambda: environment.calls().total >= len(environment.client.sent), 120, "every job is called")
    environment.recovery_seconds.append(environment.calls().started_after(started_at)[0] - started_at)
    if environment.calls().extra:
        environment.failures.append("a second message led to a second call")


def delay_messages(environment: Environment) -> None:
    """Messages are removed and put back in another order, after recovery has republished most of them."""
    environment.fleet.start(2, 10)
    with environment.redis.client() as redis:
        environment.client.submit_many(environment.plan.count(60, 30), 2)
        messages = redis.lpop(_LIST, 1000) or []
        environment.notes.append(f"{len(messages)} held back")
        taken_at = time.time()
        time.sleep(LOST_SECONDS + 5)
        environment.random.shuffle(messages)
        redis.rpush(_LIST, *messages)
    _expect_all_started(environment, taken_at)


def lose_messages(environment: Environment) -> None:
    """Messages are removed while workers receive others: some at a time, then all."""
    environment.fleet.start(2, 10)
    removed = 0
    with environment.redis.client() as redis:
        for _ in range(environment.plan.count(6, 3)):
            environment.client.submit_many(10, 2)
            removed += len(redis.lpop(_LIST, 5) or [])
            time.sleep(1)
        environment.client.submit_many(30, 2)
        removed += len(redis.lpop(_LIST, 1000) or [])
    environment.notes.append(f"{removed} removed")
    _expect_all_started(environment, time.time())


def wait_in_a_long_queue(environment: Environment) -> None:
    """Jobs wait for longer than the age at which a message counts as lost. None may be republished."""
    environment.fleet.start(2, 5)
    environment.client.submit_many(environment.plan.count(150, 60), 2)
    republished: set[str] = set()
    with environment.redis.client() as redis:
        while redis.zcard(keys.messages(keys.DEFAULT_QUEUE)) and len(republished) < 5:
            republished |= {
                job.job_id for job in environment.client.sent if redis.hexists(keys.job(job.job_id), "published_at_ms")
            }
            time.sleep(1)
    environment.recovery_seconds.append(0)
    if republished:
        environment.failures.append(f"{len(republished)} jobs that only waited were republished")


def _expect_all_started(environment: Environment, since: float) -> None:
    environment.wait(lambda: environment.calls().total >= len(environment.client.sent), 90, "every job is called")
    environment.recovery_seconds += [
        max(0.0, started_at - since) for started_at in environment.calls().started_after(since)
    ]
    if environment.calls().extra:
        environment.failures.append("a late message led to a second call")
    environment.expect_recovery_times(at_most=LOST_SECONDS + 25)


FAULTS = (
    Fault("messages_x5", "messages published five times, shuffled", publish_five_times),
    Fault("messages_late", "messages delayed 10 s, shuffled", delay_messages),
    Fault("messages_lost", "messages removed from the list", lose_messages),
    Fault(
        "long_queue", "no fault: jobs wait longer than the age of a lost message", wait_in_a_long_queue, end_seconds=200
    ),
)
