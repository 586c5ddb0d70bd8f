"""One container: a process in its own session, with a folder, a log and, if it publishes one, a loopback port."""

import os
import random
import shlex
import signal
import socket
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from docker.errors import APIError

from local.child_process import ProcessReaper
from tests.local_engine.image import LocalImage
from tests.local_engine.waiting import wait_until

LOOPBACK = "127.0.0.1"
PORTS = range(20_000, 32_000)  # below the ports that the kernel uses for outgoing connections
LISTEN_SECONDS = 10.0  # limit of the wait for the port to accept connections
KILL_SECONDS = 5.0


class LocalContainer:
    """Has the part of ``docker.models.containers.Container`` that pytest-docker-tools uses.

    Signals go to the first process only. When it ends, all others of its group are killed, as in a container. Port,
    folder and log file survive a restart.
    """

    def __init__(
        self,
        *,
        image: LocalImage,
        folder: Path,
        reaper: ProcessReaper,
        command: str | Sequence[str],
        name: str,
        environment: Mapping[str, str] | None = None,
        ports: Mapping[str, Any] | None = None,
        network: str | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex * 2
        self.name = name
        self.labels = dict(labels or {})
        self._image = image
        self._folder = folder
        self._reaper = reaper
        self._command = shlex.split(command) if isinstance(command, str) else list(command)
        self._environment = dict(environment or {})
        self._network = network or "bridge"
        self._ports = {port: free_port() for port in ports or {}}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "log"
        self._log_start = 0
        folder.mkdir()

    @property
    def status(self) -> str:
        if self._process is None:
            return "created"
        return "running" if self._exit_code() is None else "exited"

    @property
    def attrs(self) -> dict[str, Any]:
        """The part of ``docker inspect`` that is used; always current."""
        port = self._port
        published = {inner: [{"HostIp": LOOPBACK, "HostPort": str(p)}] for inner, p in self._ports.items()}
        return {
            "Id": self.id,
            "State": {"Status": self.status, "ExitCode": self._exit_code() or 0, "Pid": self.pid},
            "Config": {
                # In Docker, others use this name with the service's usual port; here the port is part of the name.
                "Hostname": f"{LOOPBACK}:{port}" if port else LOOPBACK,
                "Env": [f"{key}={value}" for key, value in self._environment.items()],
                "Labels": self.labels,
            },
            "HostConfig": {"PortBindings": published},
            "NetworkSettings": {"Networks": {self._network: {"IPAddress": LOOPBACK}}, "Ports": published},
        }

    @property
    def pid(self) -> int:
        """The process id; 0 when the container is not running."""
        return self._process.pid if self._process and self._exit_code() is None else 0

    def start(self) -> None:
        self._log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._image.arguments(self._command, self._port),
                cwd=self._image.working_dir or self._folder,
                env=self._container_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._reaper.notify(f"+{self._process.pid}")
        wait_until(lambda: self._exit_code() is not None or self._is_listening(), LISTEN_SECONDS)

    def reload(self) -> None:
        """Does nothing: no state is cached."""

    def logs(self) -> bytes:
        """The output since the latest start. Output of an earlier start must not look like readiness."""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read()

    def exec_run(self, command: str) -> tuple[int, bytes]:
        """Supports only the command with which pytest-docker-tools finds listening ports, in ``/proc/net/tcp``."""
        if not command.startswith("cat /proc/net/"):
            raise NotImplementedError(command)
        inner = [int(port.split("/")[0]) for port in self._ports] if self._is_listening() else []
        return 0, "\n".join(f"0: 00000000:{port:04X} 00000000:0000 0A" for port in inner).encode()

    def kill(self, signal: str | int | None = None) -> None:
        """Send a signal. After SIGKILL, returns when the container has ended."""
        number = _signal_number(signal)
        if self._process is None or self._exit_code() is not None:
            raise APIError(f"container {self.name} is not running")
        self._process.send_signal(number)
        if number == _signal_number("SIGKILL"):
            self.wait(KILL_SECONDS)

    def stop(self, timeout: float = 10) -> None:
        """Send SIGTERM, and SIGKILL after `timeout` seconds. Does nothing if the container has ended."""
        if self.status != "running":
            return
        self.kill("SIGTERM")
        if not wait_until(lambda: self.status == "exited", timeout):
            self.kill("SIGKILL")

    def restart(self, timeout: float = 10) -> None:
        self.stop(timeout)
        self.start()

    def wait(self, timeout: float = 10) -> dict[str, int]:
        """The exit code. Raises TimeoutError when the container has not ended in time."""
        if not wait_until(lambda: self._exit_code() is not None, timeout):
            raise TimeoutError(f"container {self.name} is still running after {timeout} s")
        return {"StatusCode": self._exit_code() or 0}

    def remove(self, *, force: bool = False) -> None:
        if force and self.status == "running":
            self.kill("SIGKILL")
        if self.status == "running":
            raise APIError(f"container {self.name} is running")

    @property
    def _port(self) -> int | None:
        """The only published port, if there is one."""
        return next(iter(self._ports.values()), None)

    def _exit_code(self) -> int | None:
        """None while it runs; 128 plus the signal's number when a signal ended it, as in Docker."""
        if self._process is None:
            return None
        was_running = self._process.returncode is None
        code = self._process.poll()
        if code is None:
            return None
        if was_running:
            with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for zombies
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reaper.notify(f"-{self._process.pid}")
        return code if code >= 0 else 128 - code

    def _is_listening(self) -> bool:
        return all(_accepts(port) for port in self._ports.values())

    def _container_environment(self) -> dict[str, str]:
        """As clean as a container's: contains no keys or settings of the developer."""
        inherited = {"PATH": os.environ["PATH"], "HOME": str(self._folder), "LANG": "C.UTF-8"}
        return {**inherited, "PYTHONUNBUFFERED": "1", **self._environment}


def free_port() -> int:
    """A port that was free a moment ago. Port 0 would give one that an outgoing connection may take."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _signal_number(name: str | int | None) -> int:
    if name is None:
        return signal.SIGKILL
    return signal.Signals[name] if isinstance(name, str) else name
