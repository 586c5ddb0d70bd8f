"""Leaves a former primary as soon as the Sentinels name another one, even if the former one still answers.

A connection asks the Sentinels only when it opens. A primary that was cut off from its Sentinels goes on answering: its
clients would read outdated records from it, and wait for messages that are published elsewhere. So one thread in each
process asks the Sentinels every second. When they name another primary, it shuts down the sockets of all connections to
the former one, and each user connects again as after any lost connection.

Logs:
    primary_changed  connections: how many were shut down
"""

import asyncio
import logging
import os
import socket
import threading
import time
import weakref
from collections.abc import Collection
from contextlib import suppress
from functools import cache
from typing import Any, Final

import redis
import redis.asyncio.sentinel
import redis.sentinel
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_POLL_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 1.0  # for all Sentinels together
_LEAVE_SECONDS: Final = 5.0  # a connection that was just opening may still go to the former primary

Address = tuple[str, int]
AnyConnection = redis.Connection | redis.asyncio.Connection


class PrimaryWatch:
    """The connections of one process to the primary that these Sentinels call ``master``. Thread-safe."""

    def __init__(self, sentinel: redis.Sentinel, master: str) -> None:
        self._sentinel = sentinel
        self._master = master
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[AnyConnection] = weakref.WeakSet()
        self._thread: threading.Thread | None = None

    def add(self, connection: AnyConnection) -> None:
        """Watch a connection that has just been opened, until nobody uses it any more."""
        with self._lock:
            self._connections.add(connection)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="primary-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        primary: Address | None = None
        former: dict[Address, float] = {}  # with the time until which its connections are shut down
        while self._connections:
            found = self._ask()
            now = time.monotonic()
            if primary and found and found != primary:
                former[primary] = now + _LEAVE_SECONDS
            primary = found or primary
            former = {address: until for address, until in former.items() if until > now and address != primary}
            if former:
                self._shut_down_all(former.keys())
            time.sleep(_POLL_SECONDS)

    def _ask(self) -> Address | None:
        try:
            host, port = self._sentinel.discover_master(self._master)  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            return None
        return host, port

    def _shut_down_all(self, addresses: Collection[Address]) -> None:
        with self._lock:
            connections = [item for item in self._connections if (item.host, item.port) in addresses]
        closed = sum(map(_shut_down, connections))
        if closed:
            logger.warning("primary_changed connections=%d", closed)


@cache
def _watch(process_id: int, nodes: tuple[Address, ...], master: str) -> PrimaryWatch:  # noqa: ARG001  # a fork gets its own
    each_seconds = _ASK_SECONDS / len(nodes)
    options = {"socket_connect_timeout": each_seconds, "socket_timeout": each_seconds, "retry": None}
    return PrimaryWatch(redis.Sentinel(list(nodes), sentinel_kwargs=options), master)  # type: ignore[no-untyped-call]


def _watch_connection(connection: Any) -> None:
    """Works for connections that redis-py or kombu open, sync and async: all of them know their Sentinels."""
    pool = connection.connection_pool
    options = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    nodes = tuple(sorted((node["host"], node["port"]) for node in options))
    _watch(os.getpid(), nodes, pool.service_name).add(connection)


class WatchedConnection(redis.sentinel.SentinelManagedConnection):
    """A connection to the primary that ends when another server becomes the primary."""

    def connect_to(self, address: Address) -> None:
        super().connect_to(address)  # type: ignore[no-untyped-call]
        _watch_connection(self)


class WatchedAsyncConnection(redis.asyncio.sentinel.SentinelManagedConnection):
    """The same for an event loop."""

    async def connect_to(self, address: Address) -> None:
        await super().connect_to(address)  # type: ignore[no-untyped-call]
        _watch_connection(self)


def _shut_down(connection: Any) -> bool:
    """End a connection that another thread may be using: its user sees a lost connection."""
    writer: asyncio.StreamWriter | None = getattr(connection, "_writer", None)
    used = writer.get_extra_info("socket") if writer is not None else getattr(connection, "_sock", None)
    if used is None:
        return False
    with suppress(OSError):
        used.shutdown(socket.SHUT_RDWR)
    return True
