"""Landlock: Linux lets a process give up access to files and TCP for good. Linux 5.13; later versions add rights."""

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Final

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_GET_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_EXECUTE: Final = 1 << 0
_READ_FILE: Final = 1 << 2
_READ_FOLDER: Final = 1 << 3
# Highest right on files of each version, as a bit mask of all rights up to it.
_FILE_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_VERSION: Final = 4
_TCP_RIGHTS: Final = 0b11  # bind, connect
_SCOPE_VERSION: Final = 6
_SCOPES: Final = 0b11  # abstract sockets and signals to processes outside


def version(libc: ctypes.CDLL) -> int:
    """The version that the kernel supports, from 1; 0 or less if it supports none."""
    return int(libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GET_VERSION))


def allow_reading_only(libc: ctypes.CDLL, paths: Iterable[Path]) -> bool:
    """Allow this thread and its children nothing but reading these files and folders. False if it is not supported.

    ``no_new_privileges`` must be set. Paths that do not exist are skipped. Raises OSError if the kernel refuses a rule.
    """
    supported = version(libc)
    if supported < 1:
        return False
    rights = max(mask for since, mask in _FILE_RIGHTS.items() if since <= supported)
    attributes = struct.pack(
        "=QQQ",
        rights,
        _TCP_RIGHTS if supported >= _TCP_VERSION else 0,
        _SCOPES if supported >= _SCOPE_VERSION else 0,
    )
    size = 8 if supported < _TCP_VERSION else 16 if supported < _SCOPE_VERSION else 24
    ruleset = _check(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(size), 0))
    try:
        for path in paths:
            _add(libc, ruleset, path)
        _check(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return True


def _add(libc: ctypes.CDLL, ruleset: int, path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)  # Linux only, as the whole module
    except OSError:
        return
    try:
        allowed = _READ_FILE | _READ_FOLDER | _EXECUTE if path.is_dir() else _READ_FILE
        rule = struct.pack("=Qi", allowed, descriptor)
        _check(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
    finally:
        os.close(descriptor)


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
