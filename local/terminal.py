"""The terminal's Ctrl-C, for the launcher alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def take_foreground() -> Iterator[None]:
    """While it lasts, Ctrl-C reaches this process and not the `make` or the pipe that it was started in.

    Else make would exit with 130 after a clean stop, and `| tee` would be gone before our last lines. Changes nothing
    without a terminal, in the background, or where this process leads its group already.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield
        return
    original_group = os.getpgrp()
    try:
        is_shared = os.tcgetpgrp(terminal) == original_group != os.getpid()
        if is_shared:
            signal.signal(signal.SIGTSTP, lambda *_: None)  # Ctrl-Z: stopped alone, we could not be continued
            os.setpgid(0, 0)
            _set_foreground_group(terminal, os.getpid())
        yield
        if is_shared:
            _set_foreground_group(terminal, original_group)
    finally:
        os.close(terminal)


def _set_foreground_group(terminal: int, group: int) -> None:
    blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # else the kernel stops us for asking
    with suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
