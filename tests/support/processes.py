"""Real processes for tests. Each has a session of its own, is ready once it prints a given line, and always ends."""

import itertools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PROJECT_ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
_FIRST_PORT: Final = 12_000
_PORTS_OF_A_PROCESS: Final = 2_500  # 8 processes at most, up to 32,000
STOP_SECONDS = 10.0
LIGHT_PROGRAMS: Final = ("local.redis_server", "local.offline_model", "valkey-server")  # up within half a second
_may_start_any_program = True


class Process:
    """A running subprocess; `output` grows while it runs. Use `running`, which also ends it."""

    def __init__(self, args: Sequence[str], env: Mapping[str, str] | None, folder: Path = PROJECT_ROOT) -> None:
        self.args = list(args)
        self.env = dict(env or {})
        _require_permission(self.args)
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._has_ended = False
        self._popen = subprocess.Popen(
            self.args,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output(self) -> str:
        """All complete lines that the process has written to stdout and stderr so far."""
        with self._changed:
            return "".join(self._lines)

    @property
    def returncode(self) -> int | None:
        """None while the process runs; the negative signal number when a signal killed it."""
        return self._popen.poll()

    def wait_for(self, text: str, seconds: float = START_SECONDS) -> str:
        """The first line that contains the text. Raises AssertionError, with the output, if there is none in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._line_with(text) is not None or self._has_ended, seconds)
            line = self._line_with(text)
            output = "".join(self._lines)
        if line is None:
            state = "has ended" if self._has_ended else f"is still running after {seconds} s"
            raise AssertionError(f"no {text!r} from {self.args}, which {state}:\n{output}")
        return line

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end and for all output. Returns the exit code. Raises subprocess.TimeoutExpired."""
        code = self._popen.wait(seconds)
        self._reader.join(seconds)
        return code

    def send(self, number: int) -> None:
        """Send a signal to this process, not to its children."""
        self._popen.send_signal(number)

    def stop(self) -> None:
        """Send SIGTERM, SIGKILL after STOP_SECONDS, then SIGKILL to the rest of its process group."""
        self._popen.terminate()
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(STOP_SECONDS)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reader.join(STOP_SECONDS)
        if self._popen.stdout is not None and not self._reader.is_alive():
            self._popen.stdout.close()

    def _collect(self) -> None:
        for line in self._popen.stdout or ():
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _line_with(self, text: str) -> str | None:
        return next((line for line in self._lines if text in line), None)


@contextmanager
def only_light_programs() -> Iterator[None]:
    """Within the block, starting a web process, a worker or any other heavy program raises AssertionError."""
    global _may_start_any_program  # noqa: PLW0603  # fixtures of every scope start processes: it holds for all of them
    before, _may_start_any_program = _may_start_any_program, False
    try:
        yield
    finally:
        _may_start_any_program = before


def _require_permission(args: Sequence[str]) -> None:
    is_light = any(Path(arg).name in LIGHT_PROGRAMS for arg in args)
    assert _may_start_any_program or is_light, (
        f"{args} is started by a test that is not marked `processes`: request the fixture `processes` "
        "in the fixture that starts it, or set `pytestmark = pytest.mark.processes` in the module"
    )


@contextmanager
def running(
    args: Sequence[str],
    *,
    ready: str,
    env: Mapping[str, str] | None = None,
    seconds: float = START_SECONDS,
    folder: Path = PROJECT_ROOT,
) -> Iterator[Process]:
    """Run `args` in `folder` for the length of the block, which begins when a line contains `ready`.

    `env` is added to this process's environment. Raises AssertionError, with the output, if the process is not ready
    within `seconds`. Neither the process nor a child in its group outlives the block.
    """
    process = Process(args, env, folder)
    try:
        process.wait_for(ready, seconds)
        yield process
    finally:
        process.stop()


def free_port() -> int:
    """A port on 127.0.0.1 that no other call gets, in this process or in another one of this run of the tests.

    The system's own choice would be free only at the moment: another test may get it before the program starts.
    """
    for port in itertools.islice(_ports, _PORTS_OF_A_PROCESS):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _own_ports() -> Iterator[int]:
    """The ports of this process of pytest-xdist, again and again: below those that the system gives to connections."""
    first = _FIRST_PORT + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) * _PORTS_OF_A_PROCESS
    start = os.getpid() % _PORTS_OF_A_PROCESS  # another run on this machine starts elsewhere
    for number in itertools.count(start):
        yield first + number % _PORTS_OF_A_PROCESS


_ports = _own_ports()
