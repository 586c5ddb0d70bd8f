"""Takes from a process what it does not need to read one file: rights, other files, the network, other processes.

Each guard that the system supports is used, and named in the result. Guards of the kernel apply to the thread that
calls, and to the threads and processes that it starts later: call it before any other thread starts.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from guards import landlock, seccomp

_NO_NEW_PRIVILEGES: Final = 38  # prctl
_MAX_FILES: Final = 32
_SYSTEM_FOLDERS: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")  # shared libraries
_KEPT_VARIABLES: Final = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "TESSDATA_PREFIX",
)


def minimal_environment() -> dict[str, str]:
    """What an interpreter needs. The provider's key, the address of Redis and cloud credentials are not in it."""
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}


def confine(files: Iterable[Path], packages: Iterable[Path]) -> list[str]:
    """Confine this process to reading these files and the interpreter, with these packages. Names the guards in force.

    Nothing is raised: a guard that the system lacks or refuses is left out.
    """
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return []
    guards = ["no_new_privileges"]
    interpreter = {Path(folder).resolve() for folder in (sys.prefix, sys.base_prefix)}
    with suppress(OSError):
        if landlock.allow_reading_only(libc, [*files, *packages, *interpreter, *map(Path, _SYSTEM_FOLDERS)]):
            guards.append("landlock")
    with suppress(OSError):
        if seccomp.refuse_calls(libc):
            guards.append("seccomp")
    return guards


def limit_processes_and_files() -> list[str]:
    """Allow no further process or thread, and few open files. Call it once all threads run."""
    try:
        import resource
    except ImportError:  # no POSIX
        return []
    guards = []
    for name, limit, value in (
        ("processes", resource.RLIMIT_NPROC, 0),  # does not apply to root
        ("open_files", resource.RLIMIT_NOFILE, _MAX_FILES),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(limit, (value, value))
            guards.append(name)
    return guards
