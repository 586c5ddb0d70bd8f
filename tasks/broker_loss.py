"""Lets a worker outlive the loss of its broker: closes two faults of kombu 5.7's Redis transport.

When the connection is lost while messages are unacknowledged (with late acknowledgement: while any job runs), kombu
closes its channel a second time when the channel's transport is gone, and later acknowledges over that dead channel.
Both raise AttributeError, which Celery takes for unrecoverable: the worker exits, on every pool. What is skipped here
is worth nothing: the messages stay in Redis' `unacked` until the visibility timeout, and the claim decides what a
second bell is worth. Loaded by workers only.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis, virtual
from redis.exceptions import OutOfMemoryError, ReadOnlyError


class QoS(redis.QoS):
    def ack(self, delivery_tag: Any) -> None:
        if not self.channel.closed:
            with self._freeing(delivery_tag):
                super().ack(delivery_tag)  # type: ignore[no-untyped-call]

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        if not self.channel.closed:
            with self._freeing(delivery_tag):
                super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]

    @contextmanager
    def _freeing(self, delivery_tag: Any) -> Iterator[None]:
        """The slot is free even if Redis was not told: kombu would count the message as running for ever."""
        try:
            yield
        finally:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]

    def restore_unacked_once(self, stderr: Any = None) -> None:
        connection = self.channel.connection
        if connection is not None and connection.client is not None:
            super().restore_unacked_once(stderr)  # type: ignore[no-untyped-call]


redis.Channel.QoS = QoS
# Redis without memory, or a replica after a failover: it passes. Celery takes what is not listed for unrecoverable.
redis.Transport.connection_errors = (*redis.Transport.connection_errors, OutOfMemoryError, ReadOnlyError)
