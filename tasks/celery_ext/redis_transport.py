"""Patches kombu's Redis transport: a worker takes many messages in one round trip and keeps them in memory only.

kombu takes one message at a time, writes it back to Redis until it is acknowledged, and acknowledges it separately:
three round trips for each job, on the thread that has to take the next message. Our messages need none of that,
because the record is the truth. If a queued job's message is lost, recovery republishes it. If a claimed job's worker
is lost, its lease expires and the job is queued again. So a worker stores nothing about a message. When its connection
is lost, the messages it has taken are not redelivered, because their jobs still run here.

Its connections treat an error reply that means "not now" as a lost connection (tasks/celery_ext/redis_connection.py).

Only workers load this module. Needs BLMPOP (Redis 7.0, Valkey). Other brokers keep their own transports.

Logs:
    message_not_returned  error: Redis did not take back a message; recovery publishes another one
"""

import logging
from collections.abc import Callable
from itertools import product
from queue import Empty
from time import monotonic
from typing import Any, Final

from kombu.transport import redis, virtual
from kombu.utils.json import loads
from redis import SSLConnection
from redis.exceptions import RedisError

from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.primary_watch import WatchedConnection
from jobs.storage.reply_errors import is_not_now, short_reply
from tasks.celery_ext.message_check import Unfit, dropped_messages, read_envelope
from tasks.celery_ext.redis_connection import as_lost_connections

logger = logging.getLogger(__name__)

_MAX_BATCH: Final = 16  # messages; more would save little, and leave a short queue empty for idle workers
_MESSAGE_TYPES: Final = (b"message", b"pmessage", "message", "pmessage")
_SILENCE_SECONDS: Final = 5.0  # without an answer to a fetch, which waits for 1 s at the server


class QoS(virtual.QoS):
    """Counts the unacknowledged messages against the free slots."""

    restore_at_shutdown = False

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        """Free the slot even if Redis does not take the message back: kombu would count it as running for ever."""
        try:
            super().reject(delivery_tag, requeue and not self.channel.closed)  # type: ignore[no-untyped-call]
        except RedisError as error:
            if not is_not_now(error):
                raise
            logger.warning("message_not_returned error=%s", short_reply(error))
        finally:
            self.ack(delivery_tag)  # type: ignore[no-untyped-call]


class Channel(redis.Channel):
    """A fetch has two steps, which kombu names after BRPOP. Between them kombu watches ``_in_poll``."""

    QoS: Any = QoS
    _in_poll: Any
    _brpop_sent_at: Any
    _answered_at: float | None = None  # when Redis last answered a fetch of this channel

    def is_fetching(self) -> bool:
        """Whether Redis answers the fetches of this channel. While all slots are busy, none is due."""
        if self._answered_at is None:
            return False
        last_contact = max(self._answered_at, self._brpop_sent_at)
        return not self.qos.can_consume() or monotonic() - last_contact < _SILENCE_SECONDS

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
            self._answered_at = monotonic()
            if not reply:
                raise Empty
            name, messages = reply
            queue = name.decode().rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            for message in messages:
                self._deliver_one(message, queue)
            return True
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _deliver_one(self, data: bytes, queue: str) -> None:
        """Deliver a message of a list. One that is malformed is dropped, and does not touch the others."""
        try:
            read_envelope(data)
        except Unfit as error:
            dropped_messages.add(str(error))
            return
        message = loads(data)  # type: ignore[no-untyped-call]
        if queue == DEFAULT_QUEUE:  # the consumer checks more (tasks/celery_ext/consumer.py)
            self.connection._deliver(message, queue)  # noqa: SLF001
        else:
            self._deliver_carefully(self.connection._deliver, message, queue)  # noqa: SLF001

    def _handle_message(self, client: Any, r: Any) -> Any:
        """A message of a subscription: remote control and events of other workers. A malformed one is dropped."""
        payload = super()._handle_message(client, r)  # type: ignore[no-untyped-call]
        if payload["type"] in _MESSAGE_TYPES and payload["data"]:
            try:
                read_envelope(payload["data"])
            except Unfit as error:
                dropped_messages.add(str(error))
                payload["data"] = None
        return payload

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        return self._deliver_carefully(super()._deliver_fanout_message, message, exchange)

    def _deliver_carefully(self, deliver: Callable[[Any, str], Any], message: Any, target: str) -> Any:
        """Celery's handlers of remote control and events trust the fields of a message, which anyone may have sent."""
        try:
            return deliver(message, target)
        except self.connection_errors:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            dropped_messages.add("not_processable")
            return False

    def _parse_messages(self, options: dict[str, Any]) -> Any:
        try:
            return self.client.parse_response(self.client.connection, "BLMPOP", **options)
        except self.connection_errors:
            self.client.connection.disconnect()  # so that the next fetch connects again
            raise

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        options: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return options | {"connection_class": as_lost_connections(options["connection_class"])}

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


class _WatchedTlsConnection(WatchedConnection, SSLConnection):
    pass


class SentinelChannel(Channel, redis.SentinelChannel):
    """The same channel for a server that is found through Sentinels."""

    connection_class: Any = WatchedConnection
    connection_class_ssl: Any = _WatchedTlsConnection


redis.Transport.Channel = Channel
redis.SentinelTransport.Channel = SentinelChannel
