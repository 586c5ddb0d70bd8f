"""RabbitMQ as the broker that hangs, blocks or refuses: submits are answered, no worker ends, every job is done."""

import json
import signal
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from jobs import queries
from jobs.settings import Settings
from jobs.states import State
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tests.support.processes import Process, running
from tests.support.rabbitmq import NOT_INSTALLED, Rabbit, is_installed, rabbitmq
from tests.support.stack import Stack, serving
from tests.support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_installed(), reason=NOT_INSTALLED),
]
WORKER = [sys.executable, "-m", "celery", "-A", "tasks", "worker"]
SUBMITS = 30  # enough for the socket and the publisher to be busy with them
END_SECONDS = 40.0


class Deployment:
    """A web process and a worker that use the node."""

    def __init__(self, stack: Stack, rabbit: Rabbit, worker: Process, store: Store) -> None:
        self.rabbit = rabbit
        self.worker = worker
        self.web = stack.web
        self.env = stack.env
        self._stack = stack
        self._store = store

    def submit(self, seconds: float = 0) -> str:
        """The id of a job whose answer takes that long. Raises HTTPError unless the answer is 202."""
        message = f"[[offline tokens=2 interval={seconds}]] hello"
        request = urllib.request.Request(
            f"{self._stack.url}/api/v1/chat/async",
            data=json.dumps({"message": message}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            assert reply.status == 202
            return str(json.load(reply)["job_id"])

    def health(self) -> dict:
        with urllib.request.urlopen(f"{self._stack.url}/health", timeout=60) as reply:
            return json.load(reply)

    def states(self, job_ids: list[str]) -> set[State | None]:
        return {self._store.run(queries.record(job_id)).state for job_id in job_ids}

    def wait_until_done(self, job_ids: list[str]) -> None:
        until(lambda: self.states(job_ids) == {State.COMPLETED}, END_SECONDS)


@pytest.fixture(scope="module")
def rabbit(processes: None) -> Iterator[Rabbit]:
    with rabbitmq() as node:
        yield node


@pytest.fixture(scope="module")
def deployment(rabbit: Rabbit, redis_url: str, model_url: str) -> Iterator[Deployment]:
    with serving(redis_url, model_url, CELERY_BROKER_URL=rabbit.url) as stack, stack.worker() as worker:
        store = Store(connect(Settings(REDIS_URL=redis_url)))
        yield Deployment(stack, rabbit, worker, store)
        store.close()


@contextmanager
def hanging(rabbit: Rabbit) -> Iterator[None]:
    rabbit.freeze()
    yield
    rabbit.thaw()


@contextmanager
def memory_alarm(rabbit: Rabbit) -> Iterator[None]:
    rabbit.raise_memory_alarm()
    yield
    rabbit.clear_memory_alarm()


@contextmanager
def no_permissions(rabbit: Rabbit) -> Iterator[None]:
    rabbit.take_permissions_away()
    yield
    rabbit.give_permissions_back()


@pytest.mark.parametrize(
    ("fault", "state"), [(memory_alarm, "blocked"), (hanging, "unreachable"), (no_permissions, "refused")]
)
def test_jobs_are_accepted_while_the_broker_fails_and_done_afterwards(
    fault: Callable[[Rabbit], AbstractContextManager[None]], state: str, deployment: Deployment
) -> None:
    """Every submit is answered while the fault lasts. All jobs, also those that were running, are completed."""
    in_flight = [deployment.submit(seconds=3) for _ in range(10)]
    until(lambda: deployment.states(in_flight) == {State.IN_PROGRESS})
    with fault(deployment.rabbit):
        accepted = [deployment.submit() for _ in range(SUBMITS)]
        until(lambda: deployment.health()["broker"]["state"] == state)
        assert deployment.health()["status"] == "degraded"

    deployment.wait_until_done(in_flight + accepted)
    until(lambda: deployment.health()["broker"]["state"] == "reachable")
    expect_calm(deployment.worker, deployment.web)


def expect_calm(*processes: Process) -> None:
    """The processes run, and no log contains a traceback or a critical error."""
    for process in processes:
        assert process.returncode is None
        assert "Traceback" not in process.output
        assert "CRITICAL" not in process.output


def test_a_message_that_cannot_be_acknowledged_is_no_error(deployment: Deployment) -> None:
    """Jobs end well although the channel that delivered their messages was closed. One line for all of them."""
    lines = deployment.worker.output.count("messages_not_acknowledged")
    in_flight = [deployment.submit(seconds=2) for _ in range(20)]
    until(lambda: deployment.states(in_flight) == {State.IN_PROGRESS})
    deployment.rabbit.close_connections()

    deployment.wait_until_done(in_flight)
    until(lambda: deployment.worker.output.count("messages_not_acknowledged") == lines + 1)
    expect_calm(deployment.worker, deployment.web)


def test_a_deleted_queue_is_declared_again(deployment: Deployment) -> None:
    """The messages in it are lost; recovery publishes them again."""
    in_flight = [deployment.submit(seconds=2) for _ in range(3)]
    until(lambda: deployment.states(in_flight) == {State.IN_PROGRESS})
    deployment.rabbit.control("delete_queue", DEFAULT_QUEUE)
    accepted = [deployment.submit() for _ in range(3)]

    deployment.wait_until_done(in_flight + accepted)
    expect_calm(deployment.worker, deployment.web)


def test_only_queues_that_are_used_are_declared(deployment: Deployment) -> None:
    """Celery would declare 28 queues for messages with a countdown, which no message of ours has."""
    deployment.wait_until_done([deployment.submit()])

    assert DEFAULT_QUEUE in deployment.rabbit.queues()
    assert not [name for name in deployment.rabbit.queues() if name.startswith("celery_delayed")]


def test_a_wrong_password_is_one_line_for_each_try_and_waited_out(deployment: Deployment) -> None:
    """A worker with a wrong password names the refusal, never the password, and starts once the password is right."""
    password = "can@ary"
    env = {**deployment.env, "CELERY_BROKER_URL": deployment.rabbit.url_with(password)}
    with running(WORKER, ready="broker_unavailable problem=refused reply=ACCESS_REFUSED", env=env) as worker:
        deployment.rabbit.change_password(password)
        worker.wait_for(" ready.")
        deployment.rabbit.change_password("guest")

        expect_calm(worker)
        assert password not in worker.output


def test_a_worker_stops_while_the_broker_hangs(deployment: Deployment) -> None:
    """SIGTERM ends a worker with code 0, whatever the broker does."""
    with running(WORKER, ready=" ready.", env=deployment.env) as worker:
        with hanging(deployment.rabbit):
            worker.send(signal.SIGTERM)
            assert worker.wait(END_SECONDS) == 0

        assert "Traceback" not in worker.output
