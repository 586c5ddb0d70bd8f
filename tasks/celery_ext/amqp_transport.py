"""Patches kombu's transport for RabbitMQ, so that a broker that hangs or blocks cannot stop the process that uses it.

- Every read and write has a timeout. py-amqp has some for its handshake only, and its options `read_timeout` and
  `write_timeout` have no effect on gevent's sockets.
- While the broker blocks the connection (`connection.blocked`), what is published on it is discarded. Workers publish
  only events and replies of remote control this way; a write would fill the socket's buffers and then wait. Messages
  of jobs are published by tasks/broker.py, which notices the block and keeps them.
- A message whose channel is gone cannot be acknowledged, and need not be: the broker delivers it again, and the claim
  ignores it because its job has ended. kombu logs a CRITICAL with a traceback for each one.
- A lost connection is reported once. kombu reports it again to Celery's clean-up, which logs a traceback.

Logs:
    messages_not_acknowledged  once for each lost connection
"""

import errno
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from amqp.exceptions import RecoverableConnectionError  # type: ignore[import-untyped]
from kombu.transport import pyamqp

logger = logging.getLogger(__name__)

OPERATION_SECONDS: Final = 5.0  # for one read or write; a healthy node answers within milliseconds


class Message(pyamqp.Message):
    """A message of a job, which is acknowledged when the attempt has ended."""

    def ack_log_error(self, logger: Any, errors: Any, multiple: bool = False) -> None:  # noqa: ARG002  # kombu's name
        self._settle(lambda: self.ack(multiple=multiple))  # type: ignore[no-untyped-call]

    def reject_log_error(self, logger: Any, errors: Any, requeue: bool = False) -> None:  # noqa: ARG002  # kombu's name
        self._settle(lambda: self.reject(requeue=requeue))  # type: ignore[no-untyped-call]

    def _settle(self, settle: Callable[[], None]) -> None:
        """Acknowledge or reject. The error of a connection that seemed alive is raised: the worker connects again."""
        connection = self.channel.connection
        if connection is None or not connection.connected:
            self.channel.note_lost_connection()
        else:
            settle()


class Channel(pyamqp.Channel):
    """A channel that does not publish while the broker blocks its connection."""

    Message = Message
    _has_noted_loss = False

    def basic_publish(self, *args: Any, **options: Any) -> Any:
        if self.connection is not None and self.connection.is_blocked:
            return None
        return super().basic_publish(*args, **options)

    def note_lost_connection(self) -> None:
        if not self._has_noted_loss:
            self._has_noted_loss = True
            logger.info("messages_not_acknowledged reason=connection_lost")


class Connection(pyamqp.Connection):
    """A connection that is cut when a read or write takes longer than OPERATION_SECONDS: part of it may have been done.

    ``is_blocked``: the broker takes no messages from this connection.
    """

    Channel = Channel
    is_blocked = False

    def connect(self, callback: Any = None) -> Any:
        result = super().connect(callback)
        self.transport.sock.settimeout(OPERATION_SECONDS)
        self.frame_writer: Any = self._cut_after_timeout(self.frame_writer)
        return result

    def blocking_read(self, timeout: float | None = None) -> Any:
        if timeout is None:  # the answer to an operation, not a look for messages
            return self._cut_after_timeout(super().blocking_read)(timeout)
        return super().blocking_read(timeout)

    def _cut_after_timeout(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            try:
                return operation(*args)
            except TimeoutError:
                with suppress(AttributeError, OSError):  # already cut
                    self._transport.connected = False
                    self._transport.sock.shutdown(socket.SHUT_RDWR)  # wakes the worker's loop
                raise

        return run

    def _on_blocked(self) -> None:
        self.is_blocked = True
        super()._on_blocked()

    def _on_unblocked(self) -> None:
        self.is_blocked = False
        super()._on_unblocked()


def _read_all(connection: Connection) -> None:
    if not connection.connected:
        raise RecoverableConnectionError("Socket was disconnected")
    connection.drain_events(timeout=0)


def _make_reader(_transport: pyamqp.Transport, connection: Connection) -> Callable[[Any], None]:
    """Kombu's reader of a worker's loop, which reads all that has arrived. After its first error it does nothing."""
    has_failed = False

    def read(loop: Any) -> None:
        nonlocal has_failed
        if has_failed:
            return
        try:
            _read_all(connection)
        except TimeoutError:
            return
        except Exception as error:
            if isinstance(error, OSError) and error.errno in (errno.EAGAIN, errno.EINTR):
                return
            has_failed = True
            raise
        loop.call_soon(read, loop)

    return read


pyamqp.Transport.Connection = Connection
pyamqp.Transport._make_reader = _make_reader  # type: ignore[method-assign, assignment]  # noqa: SLF001
