"""The launcher's output: the lines of each process and its own, each prefixed with a name."""

import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress

LAUNCHER_NAME = "chatqueue"
_COLOURS = (36, 33, 32, 35, 34)  # ANSI cyan, yellow, green, magenta, blue
_BOLD = 1


class Console:
    """Prints complete lines; thread-safe. If the terminal is gone, lines are dropped and nothing stops."""

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        self._width = max(len(name) for name in [LAUNCHER_NAME, *names])
        self._styles = {LAUNCHER_NAME: _BOLD} | dict(zip(names, _COLOURS * len(names), strict=False))
        self._is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def show(self, name: str, line: str) -> None:
        """Print one line of a process."""
        prefix = f"{name:<{self._width}} |"
        if self._is_coloured:
            prefix = f"\x1b[{self._styles[name]}m{prefix}\x1b[0m"
        with self._lock, suppress(OSError):
            sys.stdout.write(f"{prefix} {line}\n")
            sys.stdout.flush()

    def show_plain(self, text: str) -> None:
        """Print text without the prefix, so that commands in it can be copied."""
        with self._lock, suppress(OSError):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def log(self, text: str) -> None:
        """Print the launcher's own lines."""
        for line in text.splitlines():
            self.show(LAUNCHER_NAME, line)
