"""Makes the terminal send Ctrl-C to the launcher alone."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def take_foreground() -> Iterator[None]:
    """Within the block, Ctrl-C reaches this process and not the `make` or the pipeline that started it.

    Otherwise make would exit with 130 after a clean stop, and `| tee` would end before the last lines are printed. Has
    no effect without a terminal, in the background, or where this process already leads its group.
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
            signal.signal(signal.SIGTSTP, lambda *_: None)  # ignore Ctrl-Z: the shell could not continue this group
            os.setpgid(0, 0)
            _set_foreground_group(terminal, os.getpid())
        yield
        if is_shared:
            _set_foreground_group(terminal, original_group)
    finally:
        os.close(terminal)


def _set_foreground_group(terminal: int, group: int) -> None:
    blocked_before = signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTTOU}
    )  # otherwise tcsetpgrp stops this process
    with suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked_before)
