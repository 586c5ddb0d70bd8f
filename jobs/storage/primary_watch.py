"""Leaves a former primary as soon as the Sentinels name another one, even if the former one still answers.

A connection asks the Sentinels only when it opens, and believes the first one that answers. A primary that was cut off
from its Sentinels goes on answering: its clients would read outdated records from it, and wait for messages that are
published elsewhere. So one thread in each process asks all Sentinels every second. The answer of the latest
configuration counts, and among equal ones that of the most Sentinels: a Sentinel that was cut off still names the
former primary. The thread shuts down the sockets of all connections to another one, and each user connects again as
after any lost connection. A new connection to a former primary is led to the present one.

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
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Answer:
    """The primary by one Sentinel. The epoch of its configuration grows with each failover."""

    primary: Address
    epoch: int


def choose(answers: Sequence[Answer]) -> tuple[Address, frozenset[Address]]:
    """Pure: the primary by these answers, of which there is at least one, and the servers that only older ones name."""
    latest = max(answer.epoch for answer in answers)
    counts = Counter(answer.primary for answer in answers if answer.epoch == latest)
    return counts.most_common(1)[0][0], frozenset(answer.primary for answer in answers) - counts.keys()


class PrimaryWatch:
    """The connections of one process to the primary that these Sentinels call ``master``. Thread-safe."""

    def __init__(self, sentinel: redis.Sentinel, master: str) -> None:
        self._sentinel = sentinel
        self._master = master
        self._lock = threading.Lock()
        self._connections: weakref.WeakSet[AnyConnection] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._primary: Address | None = None
        self._superseded: Collection[Address] = ()

    def lead(self, address: Address) -> Address:
        """Where to connect instead of this address: the primary, if another server is known not to be it any more."""
        return self._primary if self._primary is not None and address in self._superseded else address

    def add(self, connection: AnyConnection) -> None:
        """Watch a connection that has just been opened, until nobody uses it any more."""
        with self._lock:
            self._connections.add(connection)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="primary-watch", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        former: dict[Address, float] = {}  # with the time until which its connections are shut down
        while self._connections:
            answers = [answer for answer in map(self._ask, self._sentinel.sentinels) if answer is not None]
            now, outdated = time.monotonic(), frozenset[Address]()
            if answers:
                primary, outdated = choose(answers)
                if self._primary is not None and primary != self._primary:
                    former[self._primary] = now + _LEAVE_SECONDS
                self._primary = primary
            former = {address: until for address, until in former.items() if until > now and address != self._primary}
            self._superseded = former.keys() | outdated
            if self._superseded:
                self._shut_down_all(self._superseded)
            time.sleep(_POLL_SECONDS)
        self._superseded = ()

    def _ask(self, sentinel: Any) -> Answer | None:
        """None if the Sentinel does not answer, or takes the primary for down."""
        try:
            state = sentinel.sentinel_masters().get(self._master)
        except (RedisError, OSError):
            return None
        if not state or not self._sentinel.check_master_state(state, self._master):  # type: ignore[no-untyped-call]
            return None
        return Answer((state["ip"], state["port"]), state["config-epoch"])

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


def _watch_of(connection: Any) -> PrimaryWatch:
    """Works for connections that redis-py or kombu open, sync and async: all of them know their Sentinels."""
    pool = connection.connection_pool
    options = [sentinel.connection_pool.connection_kwargs for sentinel in pool.sentinel_manager.sentinels]
    nodes = tuple(sorted((node["host"], node["port"]) for node in options))
    return _watch(os.getpid(), nodes, pool.service_name)


class WatchedConnection(redis.sentinel.SentinelManagedConnection):
    """A connection to the primary that ends when another server becomes the primary."""

    def connect_to(self, address: Address) -> None:
        watch = _watch_of(self)
        super().connect_to(watch.lead(address))  # type: ignore[no-untyped-call]
        watch.add(self)


class WatchedAsyncConnection(redis.asyncio.sentinel.SentinelManagedConnection):
    """The same for an event loop."""

    async def connect_to(self, address: Address) -> None:
        watch = _watch_of(self)
        await super().connect_to(watch.lead(address))  # type: ignore[no-untyped-call]
        watch.add(self)


def _shut_down(connection: Any) -> bool:
    """End a connection that another thread may be using: its user sees a lost connection."""
    writer: asyncio.StreamWriter | None = getattr(connection, "_writer", None)
    used = writer.get_extra_info("socket") if writer is not None else getattr(connection, "_sock", None)
    if used is None:
        return False
    with suppress(OSError):
        used.shutdown(socket.SHUT_RDWR)
    return True
