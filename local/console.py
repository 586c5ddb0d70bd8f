"""What the launcher shows: each process's lines under its name, and its own."""

import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress

LAUNCHER_NAME = "chatqueue"
_COLOURS = (36, 33, 32, 35, 34)  # ANSI cyan, yellow, green, magenta, blue
_BOLD = 1


class Console:
    """Whole lines, from any thread. A terminal that went away misses them; no process stops for it."""

    def __init__(self, names: Iterable[str]) -> None:
        names = list(names)
        self._width = max(len(name) for name in [LAUNCHER_NAME, *names])
        self._styles = {LAUNCHER_NAME: _BOLD} | dict(zip(names, _COLOURS * len(names), strict=False))
        self._is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._lock = threading.Lock()

    def show(self, name: str, line: str) -> None:
        prefix = f"{name:<{self._width}} |"
        if self._is_coloured:
            prefix = f"\x1b[{self._styles[name]}m{prefix}\x1b[0m"
        with self._lock, suppress(OSError):
            sys.stdout.write(f"{prefix} {line}\n")
            sys.stdout.flush()

    def show_plain(self, text: str) -> None:
        """Without the prefix, so that a line can be copied."""
        with self._lock, suppress(OSError):
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

    def log(self, text: str) -> None:
        for line in text.splitlines():
            self.show(LAUNCHER_NAME, line)
