"""A Redis server for one row, which can be stopped, killed and restarted on the same files."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import redis

from jobs.settings import Settings
from local.redis_server import find_binary, server_arguments
from tests.support.processes import Process, free_port


class RedisServer:
    """Is not running until ``start``. ``appendfsync`` and ``options`` take effect at the next start."""

    def __init__(self, data_dir: Path, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self._data_dir = data_dir
        self.options = options
        self._process: Process | None = None
        self.appendfsync = "everysec"
        data_dir.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when the server accepts connections."""
        settings = Settings(embedded_redis_port=self.port, data_dir=self._data_dir)
        args = [*server_arguments(find_binary(), settings), "--appendfsync", self.appendfsync, *self.options]
        self._process = Process(args, None)
        self._process.wait_for("Ready to accept connections")

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send the signal. Returns when the process has ended."""
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, number)
            self._process.wait(30)
            self._process.stop()

    def log_sizes(self) -> dict[Path, int]:
        """The append-only files and their current sizes."""
        return {path: path.stat().st_size for path in self._data_dir.glob("appendonlydir/*.incr.aof")}

    def truncate_since(self, sizes: dict[Path, int]) -> None:
        """Truncate the files to earlier sizes, as after a power loss. Call it while the server is stopped."""
        for path, size in sizes.items():
            os.truncate(path, size)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, decode_responses=True)
