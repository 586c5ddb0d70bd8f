"""Kills the process groups that the launcher leaves behind, even when the launcher is killed with -9.

It reads ``+GROUP`` and ``-GROUP`` lines from the launcher through a pipe. The kernel closes the pipe when the launcher
ends, whatever the cause. Linux's PR_SET_PDEATHSIG is not enough: it reaches direct children only, so not gunicorn's web
processes, and it does not exist on macOS.
"""

import os
import signal
import sys
from collections.abc import Iterable
from contextlib import suppress


def running_groups(lines: Iterable[str]) -> set[int]:
    """The process groups that have started and not ended when the input closes."""
    groups: set[int] = set()
    for line in lines:
        change = groups.add if line[0] == "+" else groups.discard
        change(int(line[1:]))
    return groups


def main() -> None:
    for group in running_groups(sys.stdin):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
