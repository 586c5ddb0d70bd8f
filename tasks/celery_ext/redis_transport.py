"""Patches kombu's Redis transport: a worker takes many messages in one round trip and keeps them in memory only.

kombu takes one message at a time, writes it back to Redis until it is acknowledged, and acknowledges it separately:
three round trips for each job, on the thread that has to take the next message. Our messages need none of that,
because the record is the truth. If a queued job's message is lost, recovery republishes it. If a claimed job's worker
is lost, its lease expires and the job is queued again. So a worker stores nothing about a message. When its connection
is lost, the messages it has taken are not redelivered, because their jobs still run here.

Only workers load this module. Needs BLMPOP (Redis 7.0, Valkey). Other brokers keep their own transports.
"""

from itertools import product
from queue import Empty
from time import monotonic
from typing import Any, Final

from kombu.transport import redis, virtual
from kombu.utils.json import loads
from redis.exceptions import OutOfMemoryError, ReadOnlyError

_MAX_BATCH: Final = 16  # messages; more would save little, and leave a short queue empty for idle workers


class QoS(virtual.QoS):
    """Counts the unacknowledged messages against the free slots."""

    restore_at_shutdown = False

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Free the slot even if Redis cannot be reached: kombu would count the message as running for ever."""
        try:
            super().reject(delivery_tag, requeue and not self.channel.closed)  # type: ignore[no-untyped-call]
        finally:
            self.ack(delivery_tag)  # type: ignore[no-untyped-call]


class Channel(redis.Channel):
    """A fetch has two steps, which kombu names after BRPOP. Between them kombu watches ``_in_poll``."""

    QoS: Any = QoS
    _in_poll: Any
    _brpop_sent_at: Any

    def _brpop_start(self, timeout: float | None = None) -> None:
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        lists = product(self.priority_steps, queues)
        names = [self._q_for_pri(queue, priority) for priority, queue in lists]  # type: ignore[no-untyped-call]
        wait = self.brpop_timeout if timeout is None else timeout
        free = self.qos.can_consume_max_estimate() or _MAX_BATCH  # 0 or None without a limit
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        count = min(free, _MAX_BATCH)
        self.client.connection.send_command("BLMPOP", wait, len(names), *names, "RIGHT", "COUNT", count)

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver the fetched messages. Raises Empty when there are none, and the errors of a lost connection."""
        try:
            reply = self._parse_messages(options)
            if not reply:
                raise Empty
            name, messages = reply
            queue = name.decode().rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            for message in messages:
                self.connection._deliver(loads(message), queue)  # type: ignore[no-untyped-call]  # noqa: SLF001
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _parse_messages(self, options: dict[str, Any]) -> Any:
        try:
            return self.client.parse_response(self.client.connection, "BLMPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()  # so that the next fetch connects again
            raise

    def _restore(self, message: Any, leftmost: bool = False) -> None:
        """Return a rejected message to its list. The message comes from memory; kombu would read it from Redis."""
        info = message.delivery_info
        with self.conn_or_acquire() as client:
            self._do_restore_message(  # type: ignore[no-untyped-call]
                message._raw,  # noqa: SLF001  # unchanged
                info["exchange"],
                info["routing_key"],
                client,
                leftmost,
            )


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same channel for a server that is found through Sentinels."""


redis.Transport.Channel = Channel
redis.SentinelTransport.Channel = SentinelChannel
# Redis out of memory, or a replica after a failover: both are temporary. Celery ends the worker for unlisted errors.
redis.Transport.connection_errors = (*redis.Transport.connection_errors, OutOfMemoryError, ReadOnlyError)
