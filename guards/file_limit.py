"""The limit of open files, which the shell often sets to 1,024. Each open call, connection or stream is a file."""

import contextlib
import resource
from typing import Final

RESERVED_FILES: Final = 100  # for the log, connections to Redis, child processes and the like


class TooFewFiles(ValueError):
    """The message has the limit, what the process needs at least, and how to raise it."""


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard limit, and return the limit. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS reports "unlimited" and refuses to set it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**31


def fitting(wanted: int, files_each: int = 1, reserved: int = RESERVED_FILES) -> int:
    """How many of the wanted connections or slots the limit of open files allows.

    ``reserved``: the files of the process besides them. Raises TooFewFiles if not one fits: then each would fail at its
    first file, after work has been taken.
    """
    limit, least = raise_file_limit(), reserved + files_each
    if limit < least:
        raise TooFewFiles(
            f"the limit of open files is {limit}, and this process needs at least {least}: "
            "raise it with ulimit -n, LimitNOFILE= or --ulimit nofile="
        )
    return min(wanted, (limit - reserved) // files_each)
