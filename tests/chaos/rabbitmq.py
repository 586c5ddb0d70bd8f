"""RabbitMQ as the broker, with records in Redis: the same promises apply."""

import time
from collections.abc import Callable
from typing import TypeAlias

from kombu import Connection, Queue

from jobs.storage.keys import DEFAULT_QUEUE
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault, FaultSkipped
from tests.chaos.jobs_sent import AcceptedJob, make_job_spec
from tests.chaos.web import Web
from tests.support.rabbitmq import NOT_INSTALLED, Rabbit, is_installed, rabbitmq

FAULT_SECONDS = 20.0
ACCEPT_SECONDS = 2.0
RabbitStep: TypeAlias = Callable[[Rabbit], None]


def kill_workers_and_broker(environment: Environment) -> None:
    """Workers are killed, then the broker. Jobs are submitted through the web process all the time."""
    rabbit = _start_broker(environment)
    web = _start_web(environment, rabbit)
    environment.fleet.start(3, 8)
    _expect_quorum_queue(environment, rabbit)
    since = time.time()
    for _ in range(environment.plan.count(120, 40)):
        web.submit(make_job_spec(4))
    environment.wait_until_busy(16)
    for _ in range(environment.plan.count(5, 2)):
        environment.fleet.replace(environment.random.choice(environment.fleet.workers)).wait_until_ready()
        time.sleep(environment.random.uniform(1, 3))
    time.sleep(environment.plan.lease_seconds + 5)
    environment.expect_resumptions(environment.plan.lease_seconds + 5 + 4, since)
    _kill_broker(environment, rabbit, web)
    environment.wait(lambda: not environment.unfinished(), 120, "all jobs end")


def _start_broker(environment: Environment) -> Rabbit:
    """A node that runs until the verdict. Raises FaultSkipped where RabbitMQ is not installed."""
    if not is_installed():
        raise FaultSkipped(NOT_INSTALLED)
    return environment.enter(rabbitmq())


def _start_web(environment: Environment, rabbit: Rabbit) -> Web:
    """A web process, through which the row submits its jobs."""
    environment.fleet.env["CELERY_BROKER_URL"] = rabbit.url
    web = Web(environment, rabbit.url)
    web.start()
    environment.submit = lambda seconds: web.submit(make_job_spec(seconds))
    return web


def _expect_quorum_queue(environment: Environment, rabbit: Rabbit) -> None:
    with Connection(rabbit.url) as connection:
        queue = Queue(DEFAULT_QUEUE, durable=True, queue_arguments={"x-queue-type": "quorum"})
        try:
            queue(connection.default_channel).queue_declare()
        except connection.channel_errors as error:
            environment.failures.append(f"the queue is not a quorum queue: {error}")


def _kill_broker(environment: Environment, rabbit: Rabbit, web: Web) -> None:
    rabbit.kill()
    for _ in range(10):
        web.submit(make_job_spec(2))
    rabbit.start()
    returned_at = time.time()
    new = [web.submit(make_job_spec(2)) for _ in range(10)]
    started = environment.wait_for_calls(new, 60, "work continues after the broker has returned")
    if started:
        environment.notes.append(f"work continued {max(started) - returned_at:.0f} s after the broker had returned")


def block_publishers(environment: Environment) -> None:
    """A memory alarm: the broker takes no messages. It says so to each connection that publishes."""
    _submit_during(environment, Rabbit.raise_memory_alarm, Rabbit.clear_memory_alarm)


def freeze_broker(environment: Environment) -> None:
    """The node hangs. Its kernel goes on accepting connections and data."""
    _submit_during(environment, Rabbit.freeze, Rabbit.thaw)


def refuse_everything(environment: Environment) -> None:
    """The user's permissions are taken away and its connections are closed."""
    _submit_during(environment, Rabbit.take_permissions_away, Rabbit.give_permissions_back)


def _submit_during(environment: Environment, begin: RabbitStep, end: RabbitStep) -> None:
    """Submit all the time while the fault lasts, with jobs running. Every submit is accepted in time."""
    rabbit = _start_broker(environment)
    web = _start_web(environment, rabbit)
    environment.fleet.start(2, 20)
    for _ in range(environment.plan.count(20, 10)):
        web.submit(make_job_spec(FAULT_SECONDS / 2))
    environment.wait_until_busy(10)
    begin(rabbit)
    sent = _submit_for(environment, web, FAULT_SECONDS)
    end(rabbit)
    ended_at = time.time()
    started = environment.wait_for_calls(sent, 60, "jobs that were accepted during the fault begin")
    environment.recovery_seconds += [max(0.0, started_at - ended_at) for started_at in started]
    environment.wait(lambda: not environment.unfinished(), 120, "all jobs end")
    _expect_calm_workers(environment)


def _submit_for(environment: Environment, web: Web, seconds: float) -> list[AcceptedJob]:
    sent: list[AcceptedJob] = []
    slowest = 0.0
    end = time.monotonic() + seconds
    while (started := time.monotonic()) < end:
        sent.append(web.submit(make_job_spec(1)))
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.1)
    environment.notes.append(f"{len(sent)} submits during the fault, each accepted in at most {slowest:.2f} s")
    if slowest > ACCEPT_SECONDS:
        environment.failures.append("a submit waited for the broker")
    return sent


def _expect_calm_workers(environment: Environment) -> None:
    """No worker has ended, and no log contains a traceback or a critical error."""
    for worker in environment.fleet.workers:
        if not worker.is_running:
            environment.failures.append("a worker has ended")
        if "Traceback" in worker.process.output or "CRITICAL" in worker.process.output:
            environment.failures.append("a worker has logged a traceback or a critical error")


FAULTS = (
    Fault("rabbitmq", "RabbitMQ as broker (quorum): 5 kills, broker SIGKILL", kill_workers_and_broker),
    Fault("rabbitmq_blocked", "RabbitMQ short of memory for 20 s: publishers blocked", block_publishers),
    Fault("rabbitmq_frozen", "RabbitMQ hangs for 20 s (SIGSTOP)", freeze_broker),
    Fault("rabbitmq_refused", "RabbitMQ refuses everything for 20 s: no permissions", refuse_everything),
)
