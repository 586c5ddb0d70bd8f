"""One connection to a broker that is not the record store, for one thread. Every operation is bounded in time.

On RabbitMQ a message counts as published once the broker has confirmed it. The confirmations of a batch are awaited
together: one at a time would limit a process to some 300 messages a second.
"""

import copy
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from amqp.exceptions import Blocked, MessageNacked  # type: ignore[import-untyped]
from celery import Celery
from kombu.connection import Connection
from kombu.entity import Queue
from kombu.exceptions import ChannelError

from jobs.priorities import NORMAL_PRIORITY
from jobs.redis_urls import for_broker
from jobs.settings import Settings
from jobs.storage.keys import DEFAULT_QUEUE
from tasks.broker_options import is_amqp, transport_options
from tasks.celery_ext.amqp_transport import OPERATION_SECONDS  # patches kombu: its timeouts apply here too
from tasks.queue_message import send_message

_NO_SUCH_QUEUE: Final = 404  # AMQP: not declared yet; kombu's Redis transport also reports it for an empty queue
_NOWHERE: Final = "chatqueue.check"  # no queue has this name: the broker confirms the message and discards it


@dataclass(frozen=True)
class OutgoingMessage:
    """A job's message that is to be published."""

    job_id: str
    queue: str = DEFAULT_QUEUE
    priority: int = NORMAL_PRIORITY


class BrokerConnection:
    """Every method raises the transport's errors, TimeoutError and MessageNacked. After an error, abandon it."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        """Connect, and check that the broker takes messages."""
        self._app = app
        self._settings = settings
        self._confirms: _Confirms | None = None
        self._connection = _make_connection(app, settings)
        try:
            self._connect()
            self.check()
        except BaseException:
            self.abandon()
            raise

    def publish(self, messages: Sequence[OutgoingMessage]) -> None:
        """Publish all of them. If this raises, some may have been published; publishing them again is harmless."""
        for message in messages:
            self._expect_confirm()
            send_message(self._app, message.job_id, self._queue(message.queue), message.priority, self._producer)
        self._await_confirms()

    def check(self) -> None:
        """One round trip, which fails where publishing would fail."""
        if self._confirms is None:
            self.count_messages(DEFAULT_QUEUE)
            return
        self._producer.maybe_declare(self._queue(DEFAULT_QUEUE))
        self._expect_confirm()
        self._producer.publish("", routing_key=_NOWHERE, delivery_mode="transient")
        self._await_confirms()

    def count_messages(self, queue: str) -> int:
        """Messages that wait at the broker, without those already delivered to a worker."""
        with self._connection.channel() as channel:  # type: ignore[no-untyped-call]
            try:
                declared = self._queue(queue)(channel).queue_declare(passive=True)  # type: ignore[no-untyped-call]
                return int(declared.message_count)
            except ChannelError as error:
                if int(error.reply_code) != _NO_SUCH_QUEUE:
                    raise
                return 0

    def close(self) -> None:
        self._connection.release()  # type: ignore[no-untyped-call]

    def abandon(self) -> None:
        """Close the connection without a goodbye, whose answer a broker that hangs would let us wait for."""
        with suppress(Exception):  # whatever is wrong with the connection, it is not used any more
            self._connection.collect(socket_timeout=OPERATION_SECONDS)  # type: ignore[no-untyped-call]

    def _connect(self) -> None:
        other_nodes = max(len(self._connection.alt) - 1, 0)
        self._connection.ensure_connection(  # type: ignore[no-untyped-call]
            max_retries=other_nodes, reraise_as_library_errors=False
        )
        channel = self._connection.default_channel
        if is_amqp(self._settings):
            self._confirms = _Confirms(self._connection, channel)
        self._producer = self._app.amqp.Producer(channel)

    def _queue(self, name: str) -> Queue:
        """The queue as the workers of these settings declare it; another declaration would be refused."""
        queue: Any = copy.copy(self._app.amqp.queues[name])
        queue.queue_arguments = {"x-queue-type": "quorum"} if is_amqp(self._settings) else None
        return queue  # type: ignore[no-any-return]

    def _expect_confirm(self) -> None:
        if self._confirms is not None:
            self._confirms.expect_one()

    def _await_confirms(self) -> None:
        if self._confirms is not None:
            self._confirms.await_all()


class _Confirms:
    """The publisher confirms of one channel of RabbitMQ. The broker numbers the messages of a channel from 1."""

    def __init__(self, connection: Connection, channel: Any) -> None:
        self._connection = connection
        self._sent = 0
        self._unconfirmed: set[int] = set()
        channel.confirm_select()
        channel.events["basic_ack"].add(self._confirm)
        channel.events["basic_nack"].add(self._refuse)

    def expect_one(self) -> None:
        self._sent += 1
        self._unconfirmed.add(self._sent)

    def await_all(self) -> None:
        """Raises TimeoutError, Blocked, MessageNacked, and the errors of a lost connection or a refusal."""
        deadline = time.monotonic() + OPERATION_SECONDS
        while self._unconfirmed:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the broker does not confirm messages")
            self._connection.drain_events(timeout=remaining)  # type: ignore[no-untyped-call]

    def _confirm(self, number: int, multiple: bool) -> None:  # py-amqp's signature
        if multiple:
            self._unconfirmed = {waiting for waiting in self._unconfirmed if waiting > number}
        else:
            self._unconfirmed.discard(number)

    def _refuse(self, *_: Any) -> None:
        raise MessageNacked


def _make_connection(app: Celery, settings: Settings) -> Connection:
    """A connection to the broker of these settings, which need not be those of the Celery app. Not yet open."""
    broker = for_broker(settings.broker_url.get_secret_value(), settings.redis_connect_seconds)
    options = {**transport_options(settings), "on_blocked": _raise_blocked}
    connection: Connection = app.connection_for_write(
        broker.url, ssl=broker.tls or False, heartbeat=0, transport_options=options
    )
    return connection


def _raise_blocked(reason: str) -> None:
    raise Blocked(reason)
