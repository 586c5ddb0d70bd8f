"""Whether this machine lets the program run: its data folder, its disk, its secrets and its ports."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.settings import Settings
from jobs.settings.loading import variable_name
from local import preflight
from local.doctor.finding import Finding, Level
from local.errors import CannotStart
from local.readiness import is_answered_by_us

_LITTLE_BYTES: Final = 1024 * 1024 * 1024
_TOO_LITTLE_BYTES: Final = 100 * 1024 * 1024  # the append-only file is rewritten beside itself
_PROBE: Final = b"x" * 64 * 1024


def check_data_folder(settings: Settings) -> Iterator[Finding]:
    """Write a file where the data will be, and delete it. Looks at the free space as well."""
    folder = _existing(settings.data_dir.absolute())
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
            os.fsync(file.fileno())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("data folder", Level.PROBLEM, _write_problem(folder, error))
        return
    if free < _LITTLE_BYTES:
        level = Level.PROBLEM if free < _TOO_LITTLE_BYTES else Level.WARNING
        problem = f"the disk of {folder} has only {free // 1024**2} MiB left"
        yield Finding("data folder", level, f"{problem}: free some, or set CHATQUEUE_DATA_DIR to another disk")
    elif settings.data_dir.exists():
        yield Finding("data folder", Level.OK, str(settings.data_dir))
    else:
        yield Finding("data folder", Level.OK, f"{settings.data_dir}, which the first start creates")


def check_secrets(_: Settings) -> Iterator[Finding]:
    try:
        preflight.check_secrets()
    except CannotStart as warning:
        yield Finding("secrets", Level.WARNING, str(warning))


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Each port must be free, unless our own process listens there."""
    used: dict[int, str] = {}
    for field, host in preflight.addresses(settings).items():
        port, name = getattr(settings, field), variable_name(field)
        if port in used:
            yield Finding("ports", Level.PROBLEM, f"{used[port]} and {name} are both {port}: change one")
            continue
        used[port] = name
        if is_answered_by_us(field, settings):
            yield Finding("ports", Level.OK, f"{port} ({name}): chatqueue runs there")
            continue
        try:
            preflight.check_port(host, port, name)
        except CannotStart as error:
            yield Finding("ports", Level.PROBLEM, str(error))


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists: there the first start would create it."""
    return next((path for path in (folder, *folder.parents) if path.exists()), folder)


def _write_problem(folder: Path, error: OSError) -> str:
    advice = "set CHATQUEUE_DATA_DIR to another folder"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"the disk of {folder} is full ({error.strerror}): free some space, or {advice}"
    return f"cannot write to {folder} ({error.strerror}): give this user the right to, or {advice}"
