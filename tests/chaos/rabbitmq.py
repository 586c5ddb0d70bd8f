"""RabbitMQ as the broker, with records in Redis: the same promises apply."""

import os
import shutil
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from kombu import Connection, Queue

from jobs.storage.keys import DEFAULT_QUEUE
from tests.chaos.environment import Environment
from tests.chaos.fault import Fault, FaultSkipped
from tests.chaos.jobs_sent import make_job_spec
from tests.chaos.web import Web
from tests.support.processes import Process, free_port

_SERVERS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/homebrew/sbin/rabbitmq-server")
START_SECONDS = 90.0


class Rabbit:
    """A RabbitMQ node on the loopback interface. It can be killed and restarted on the same files."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._epmd_port = free_port()
        self._folder = folder
        self._dist_port = free_port()
        self._node: Process | None = None
        self._epmd = Process([_epmd(), "-address", "127.0.0.1", "-port", str(self._epmd_port)], None)
        (folder / "plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Returns when the node accepts AMQP connections. Raises AssertionError otherwise."""
        self._node = Process([_server()], self._env())
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts_connections():
            if time.monotonic() > deadline or self._node.returncode is not None:
                raise AssertionError(f"RabbitMQ did not start:\n{self._node.output}")
            time.sleep(0.3)

    def kill(self) -> None:
        if self._node is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._node.pid, signal.SIGKILL)
            self._node.wait()
            self._node.stop()

    def close(self) -> None:
        self.kill()
        self._epmd.stop()

    def _accepts_connections(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as connection:
            connection.settimeout(2)
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(1))
        return False

    def _env(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "HOME": folder,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_NODENAME": f"chaos{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def _server() -> str:
    """The server's own script. The one on PATH switches to another user."""
    return next((path for path in _SERVERS if Path(path).exists()), None) or shutil.which("rabbitmq-server") or ""


def _epmd() -> str:
    return shutil.which("epmd") or "epmd"


def kill_workers_and_broker(environment: Environment) -> None:
    """Workers are killed, then the broker. Jobs are submitted through the web process all the time."""
    if not _server() or not shutil.which("epmd"):
        raise FaultSkipped("rabbitmq-server is not installed")
    folder = Path(tempfile.mkdtemp(prefix="chaos-rabbit-"))
    environment.on_close(lambda: shutil.rmtree(folder, ignore_errors=True))
    rabbit = Rabbit(folder)
    environment.on_close(rabbit.close)
    rabbit.start()
    _run_outage(environment, rabbit)


def _run_outage(environment: Environment, rabbit: Rabbit) -> None:
    environment.fleet.env["CELERY_BROKER_URL"] = rabbit.url
    web = Web(environment, rabbit.url)
    web.start()
    environment.submit = lambda seconds: web.submit(make_job_spec(seconds))
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


FAULTS = (Fault("rabbitmq", "RabbitMQ as broker (quorum): 5 kills, broker SIGKILL", kill_workers_and_broker),)
