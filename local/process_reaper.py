"""The launcher's guard: when the launcher is gone, however it went, kill what it has left running.

It reads ``+GROUP`` and ``-GROUP`` lines from the launcher through a pipe, which the kernel closes even at kill -9.
Linux's PR_SET_PDEATHSIG would reach only direct children: not gunicorn's web processes, and nothing on macOS.
"""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def follow(lines: Iterable[str]) -> set[int]:
    """The process groups that still run when the lines end."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    return groups


def main() -> None:
    for group in follow(sys.stdin):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
