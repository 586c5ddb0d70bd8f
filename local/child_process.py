"""One child process of the launcher: its output, how it is stopped, and the reaper that outlives the launcher."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, cast

from jobs.folders import PROJECT_ROOT
from local.procfile import Entry

_MAX_LAST_LINES = 12  # of output, printed when the process fails
_DRAIN_SECONDS = 1.0  # for output still in the pipe after the process has ended


class ProcessReaper:
    """Runs local.process_reaper and notifies it of each process group that starts and ends."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "local.process_reaper"],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def notify(self, change: str) -> None:
        """Send `+GROUP` when a process group has started, `-GROUP` when it has ended."""
        pipe = self._process.stdin
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.write(f"{change}\n")
                pipe.flush()

    def close(self) -> None:
        """Close the pipe and wait. The reaper kills every group whose end it was not notified of."""
        with suppress(BrokenPipeError):
            self._process.communicate()


class Child:
    """A running process that leads its own session, so that the terminal's Ctrl-C does not reach it."""

    def __init__(
        self, entry: Entry, env: Mapping[str, str], reaper: ProcessReaper, show: Callable[[str, str], None]
    ) -> None:
        self.entry = entry
        self.name = entry.name
        self.started_at = time.monotonic()
        self.last_lines: deque[str] = deque(maxlen=_MAX_LAST_LINES)
        self._reaper = reaper
        self._show = show
        self._process = subprocess.Popen(  # noqa: S603
            ["/bin/sh", "-c", f"exec {entry.command}"],  # exec: the pid is the program's, so signals reach it
            cwd=PROJECT_ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        reaper.notify(f"+{self.pid}")
        self._output = cast("IO[str]", self._process.stdout)
        self._reader = threading.Thread(target=self._forward_output, name=f"output of {self.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while the process runs; the negative signal number when a signal killed it."""
        return self._process.poll()

    def stop(self, timeout_seconds: Callable[[], float]) -> bool:
        """Send SIGTERM to the main process, and SIGKILL to its group after `timeout_seconds()` seconds.

        `timeout_seconds` is polled, so that a second Ctrl-C can shorten it. False if the process had to be killed.
        """
        self._process.terminate()
        start = time.monotonic()
        while self.exit_code is None and time.monotonic() - start < timeout_seconds():
            time.sleep(0.05)
        is_clean = self.exit_code is not None
        self.kill_group()
        return is_clean

    def kill_group(self) -> None:
        """Kill what is left of the process group, and wait for its last output. Safe to call twice."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._reaper.notify(f"-{self.pid}")
        self._reader.join(_DRAIN_SECONDS)

    def _forward_output(self) -> None:
        with self._output as lines:
            for line in lines:
                self.last_lines.append(line.rstrip("\n"))
                self._show(self.name, self.last_lines[-1])
