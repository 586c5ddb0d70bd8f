"""The limit of open files, which the shell often sets to 1,024. Each open call, connection or stream is a file."""

import contextlib
import resource
from typing import Final

RESERVED_FILES: Final = 100  # for the log, Lua scripts, connections to Redis and the like


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard limit, and return the limit. Children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS reports "unlimited" and refuses to set it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 2**31


def fitting(wanted: int, files_each: int = 1) -> int:
    """How many of the wanted connections or slots the limit of open files allows, at least 1."""
    return max(1, min(wanted, (raise_file_limit() - RESERVED_FILES) // files_each))
