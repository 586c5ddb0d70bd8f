"""The pub/sub connection of a listener: one thread reads it, and every waiter may subscribe on it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from redis.client import PubSub
from redis.exceptions import RedisError


class SharedConnection:
    """Sends one command at a time. A failed one is left to the reader, which notices the broken connection too.

    Without a connection the methods do nothing: the reader subscribes to all needed channels once it has one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pubsub: PubSub | None = None
        self._channels: set[str] = set()  # subscribed to, confirmed or not

    @contextmanager
    def opened(self, pubsub: PubSub) -> Iterator[None]:
        """This is the connection until the end of the block."""
        with self._lock:
            self._pubsub, self._channels = pubsub, set()
        try:
            yield
        finally:
            with self._lock:
                self._pubsub = None

    def subscribe(self, needed: Callable[[], set[str]]) -> None:
        """Subscribe to the needed channels that are new."""
        with self._lock, suppress(RedisError):
            if self._pubsub is not None and (new := needed() - self._channels):
                self._pubsub.subscribe(*new)
                self._channels |= new

    def unsubscribe_others(self, needed: Callable[[], set[str]]) -> None:
        """Unsubscribe from the channels that are not needed."""
        with self._lock, suppress(RedisError):
            if self._pubsub is not None and (unused := self._channels - needed()):
                self._pubsub.unsubscribe(*unused)  # type: ignore[no-untyped-call]
                self._channels -= unused

    def ping(self) -> None:
        """Ask the server for a sign of life, which the reader reads."""
        with self._lock, suppress(RedisError):
            if self._pubsub is not None:
                self._pubsub.ping()
