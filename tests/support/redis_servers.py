"""Real Redis servers for tests: alone, with a replica, and behind Sentinels."""

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import redis

from local.redis_server import find_binary
from tests.support.processes import Process, free_port, running
from tests.support.waiting import until

PASSWORD = "can@ary/1"
PASSWORD_IN_URL = "can%40ary%2F1"
MASTER = "the-records"


def valkey(folder: Path, *args: str) -> list[str]:
    """The command line of a server without persistence."""
    folder.mkdir(exist_ok=True)
    return [str(find_binary()), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", *args]


class PrimaryAndReplica:
    """A primary and its replica, without Sentinels and without a password."""

    def __init__(self, folder: Path, stack: ExitStack, *args: str) -> None:
        self._folder, self._args = folder, args
        self._run = lambda command: stack.enter_context(running(command, ready="Ready to accept connections"))
        self.primary_port, self.replica_port = free_port(), free_port()
        self.primary = self._server(self.primary_port)
        self.replica = self._server(self.replica_port, "--replicaof", f"127.0.0.1 {self.primary_port}")
        with redis.Redis(port=self.replica_port) as client:
            until(lambda: client.info("replication")["master_link_status"] == "up")

    def _server(self, port: int, *args: str) -> Process:
        own = ("--port", str(port), "--repl-diskless-sync-delay", "0")
        return self._run(valkey(self._folder / str(port), *own, *self._args, *args))


class Sentinels:
    """A master, its replica, and three Sentinels with a quorum of two."""

    def __init__(self, folder: Path, stack: ExitStack, seen_through: Callable[[int], int] = lambda port: port) -> None:
        """``seen_through``: from the master's port to the port at which the replica and the Sentinels reach it."""
        self._folder = folder
        self._run = lambda args, ready: stack.enter_context(running(args, ready=ready))
        master_port = free_port()
        self.master = self._server(master_port)
        seen_port = seen_through(master_port)
        self.master_port, self.replica_port = master_port, free_port()
        self.replica = self._server(self.replica_port, "--replicaof", f"127.0.0.1 {seen_port}")
        until(lambda: self._is_replicating(self.replica_port))
        self.ports = [free_port() for _ in range(3)]
        self.nodes = [self._sentinel(port, seen_port) for port in self.ports]
        until(lambda: all(self._sees_all(port) for port in self.ports))

    @property
    def url(self) -> str:
        return self.url_through(self.ports)

    def url_through(self, ports: Sequence[int]) -> str:
        """The URL for a client that reaches the Sentinels at these ports."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
        return f"sentinel://default:{PASSWORD_IN_URL}@{hosts}/0?master={MASTER}"

    def fail_over(self) -> None:
        """Make the replica the master while the master is up. Returns before that has happened."""
        with redis.Redis(port=self.ports[0]) as client:
            client.execute_command("SENTINEL", "FAILOVER", MASTER)

    def name_the_replica(self) -> None:
        """Make all Sentinels call the replica the master, while the former master stays one."""
        with redis.Redis(port=self.replica_port, password=PASSWORD) as client:
            client.replicaof("NO", "ONE")
        for port in self.ports:
            with redis.Redis(port=port) as client:
                client.execute_command("SENTINEL", "REMOVE", MASTER)
                client.execute_command("SENTINEL", "MONITOR", MASTER, "127.0.0.1", self.replica_port, 2)
                client.execute_command("SENTINEL", "SET", MASTER, "auth-pass", PASSWORD)

    def kill_the_host_of_the_master(self) -> None:
        """Kill the master, and the Sentinel that every client asks first."""
        self.master.send(signal.SIGKILL)
        self.nodes[0].send(signal.SIGKILL)

    def _server(self, port: int, *args: str) -> Process:
        own = (
            "--port",
            str(port),
            "--requirepass",
            PASSWORD,
            "--masterauth",
            PASSWORD,
            "--repl-diskless-sync-delay",
            "0",
        )
        return self._run(valkey(self._folder / str(port), *own, *args), "Ready to accept connections")

    def _sentinel(self, port: int, master_port: int) -> Process:
        config = self._folder / f"sentinel-{port}.conf"  # a Sentinel writes to it
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {MASTER} 127.0.0.1 {master_port} 2\n"
            f"sentinel auth-pass {MASTER} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {MASTER} 1000\n"
            f"sentinel failover-timeout {MASTER} 5000\n"
        )
        return self._run([str(find_binary()), str(config), "--sentinel"], "+monitor master")

    def _is_replicating(self, port: int) -> bool:
        with redis.Redis(port=port, password=PASSWORD) as client:
            return client.info("replication")["master_link_status"] == "up"

    def _sees_all(self, port: int) -> bool:
        with redis.Redis(port=port) as client:
            state = client.sentinel_master(MASTER)
        return state["num-slaves"] == 1 and state["num-other-sentinels"] == 2
