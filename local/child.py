"""One child process of the launcher: its output, its end, and the guard that outlives us to end it."""

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

from jobs.settings import PROJECT_ROOT
from local.procfile import Entry

_KEPT_LINES = 12  # of output, for the report of a failure
_DRAIN_SECONDS = 1.0  # for output that is still in the pipe when the process has ended


class Guard:
    """The process of local.process_reaper, told of each process group that starts and ends."""

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

    def tell(self, change: str) -> None:
        pipe = self._process.stdin
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.write(f"{change}\n")
                pipe.flush()

    def dismiss(self) -> None:
        """Closes the pipe; whatever group was not signed off is killed now."""
        with suppress(BrokenPipeError):
            self._process.communicate()


class Child:
    """A running process, leader of a session of its own: the terminal's Ctrl-C does not reach it."""

    def __init__(self, entry: Entry, env: Mapping[str, str], guard: Guard, show: Callable[[str, str], None]) -> None:
        self.name = entry.name
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._guard = guard
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
        guard.tell(f"+{self.pid}")
        self._output = cast("IO[str]", self._process.stdout)
        self._reader = threading.Thread(target=self._pass_on_output, name=f"output of {self.name}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; minus the signal's number when one killed it."""
        return self._process.poll()

    def stop(self, bound: Callable[[], float]) -> bool:
        """SIGTERM to the main process; SIGKILL to its group once `bound()` seconds are over.

        `bound` is asked again and again, so that a second Ctrl-C can shorten it. False if it had to be killed.
        """
        self._process.terminate()
        start = time.monotonic()
        while self.exit_code is None and time.monotonic() - start < bound():
            time.sleep(0.05)
        is_clean = self.exit_code is not None
        self.clear_away()
        return is_clean

    def clear_away(self) -> None:
        """Kill what is left of its group, and wait for its last lines. May be called again."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._guard.tell(f"-{self.pid}")
        self._reader.join(_DRAIN_SECONDS)

    def _pass_on_output(self) -> None:
        with self._output as lines:
            for line in lines:
                self.last_lines.append(line.rstrip("\n"))
                self._show(self.name, self.last_lines[-1])
