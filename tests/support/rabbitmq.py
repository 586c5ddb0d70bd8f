"""A RabbitMQ node for tests: started as a child process, with its own ports and files, on the loopback interface."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import quote

from tests.support.processes import Process, free_port

NOT_INSTALLED: Final = "rabbitmq-server is not installed"
START_SECONDS: Final = 90.0
_FOLDERS: Final = ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin")  # the scripts on PATH switch to another user
_CONTROL_SECONDS: Final = 60.0  # a command starts an Erlang VM, which takes seconds on a busy machine


def is_installed() -> bool:
    return bool(_script("rabbitmq-server") and _script("rabbitmqctl") and shutil.which("epmd"))


@contextmanager
def rabbitmq() -> Iterator["Rabbit"]:
    """A running node, which ends with the block. Its files are removed."""
    with tempfile.TemporaryDirectory(prefix="rabbit-", ignore_cleanup_errors=True) as folder:
        rabbit = Rabbit(Path(folder))
        try:
            rabbit.start()
            yield rabbit
        finally:
            rabbit.close()


class Rabbit:
    """A node that can be killed and restarted on the same files, and made to hang, block or refuse."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._epmd_port = free_port()
        self._folder = folder
        self._dist_port = free_port()
        self._node: Process | None = None
        self._epmd = Process(["epmd", "-address", "127.0.0.1", "-port", str(self._epmd_port)], None)
        (folder / "plugins").write_text("[].\n")

    @property
    def url(self) -> str:
        return self.url_with("guest")

    def url_with(self, password: str) -> str:
        return f"amqp://guest:{quote(password, safe='')}@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Returns when the node accepts AMQP connections. Raises AssertionError otherwise."""
        self._node = Process([_script("rabbitmq-server")], self._env())
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts_connections():
            if time.monotonic() > deadline or self._node.returncode is not None:
                raise AssertionError(f"RabbitMQ did not start:\n{self._node.output}")
            time.sleep(0.3)

    def kill(self) -> None:
        if self._node is not None:
            self._signal_node(signal.SIGKILL)
            self._node.wait()
            self._node.stop()

    def close(self) -> None:
        self.kill()
        self._epmd.stop()

    def freeze(self) -> None:
        """Stop the node as a hanging host does: its kernel still accepts connections and data."""
        self._signal_node(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_node(signal.SIGCONT)

    def raise_memory_alarm(self) -> None:
        """Block all connections that publish. They are told so when they do (`connection.blocked`)."""
        self.control("set_vm_memory_high_watermark", "0.00001")

    def clear_memory_alarm(self) -> None:
        self.control("set_vm_memory_high_watermark", "0.6")

    def take_permissions_away(self) -> None:
        """Refuse every operation of the user. Its open channels still use rights that they have cached."""
        self.control("clear_permissions", "guest")
        self.close_connections()

    def give_permissions_back(self) -> None:
        self.control("set_permissions", "guest", ".*", ".*", ".*")

    def change_password(self, password: str) -> None:
        self.control("change_password", "guest", password)

    def close_connections(self) -> None:
        self.control("close_all_connections", "closed by a test")

    def queues(self) -> list[str]:
        """The names of all queues."""
        return self.control("--quiet", "list_queues", "--no-table-headers", "name").split()

    def control(self, *args: str) -> str:
        """The output of a rabbitmqctl command. Raises subprocess.CalledProcessError."""
        done = subprocess.run(
            [_script("rabbitmqctl"), *args],
            env={**os.environ, **self._env()},
            capture_output=True,
            text=True,
            timeout=_CONTROL_SECONDS,
            check=True,
        )
        return done.stdout

    def _signal_node(self, number: int) -> None:
        if self._node is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._node.pid, number)

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
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }


def _script(name: str) -> str:
    """The path of one of RabbitMQ's scripts; "" when it is not installed."""
    paths = [f"{folder}/{name}" for folder in _FOLDERS]
    return next((path for path in paths if Path(path).exists()), None) or shutil.which(name) or ""
