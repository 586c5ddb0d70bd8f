"""Celery's consumer, the part of a worker that is connected to the broker: it waits until the broker serves it again.

Celery ends the worker when the broker refuses something (a right, a queue), and connects again without a pause, with
one traceback a second. Here one line names the reply, and the worker tries again, at the latest every few seconds.

Not started: Celery's delayed delivery, which declares 28 queues at RabbitMQ and binds ours to them, for messages with a
countdown. Ours have none: waiting jobs are in Redis. And not on RabbitMQ: mingle, which publishes on the connection of
the consumer. While RabbitMQ is short of memory it stops reading from such a connection, so that the worker could not
take the messages that wait. What mingle shares (revoked ids) is in the records.

Logs:
    broker_unavailable  problem, reply, text: the broker cannot be reached or refuses something; tried again. When a
                        connection that worked has failed, Celery logs "Connection to broker lost" with the reply.
"""

import time
import warnings
from collections.abc import Mapping
from typing import Any, Final

from celery.exceptions import CPendingDeprecationWarning
from celery.utils.log import get_logger
from celery.utils.threads import bound_open_broker_sockets
from celery.worker.consumer.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown

from tasks.broker_errors import MAX_PAUSE_SECONDS, broker_problem, pause_seconds, reply_name, reply_text

logger = get_logger(__name__)

_STABLE_SECONDS: Final = 0.5  # a connection that has worked for this long starts a new row of failures
_SHUTDOWN_SECONDS: Final = 1.0  # for each answer of the broker while the worker stops
_POLL_SECONDS: Final = 0.2  # how often a worker that waits looks for a shutdown
_DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(CeleryConsumer):  # type: ignore[misc]  # celery ships no types
    """Waits between two tries; see above."""

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc]  # celery ships no types
        """The steps that start when the worker has connected."""

        default_steps: Final = [step for step in CeleryConsumer.Blueprint.default_steps if step != _DELAYED_DELIVERY]

    def __init__(self, *args: Any, app: Any, worker_options: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._failures = 0
        self._ready_at: float | None = None
        self._is_rabbitmq = app.connection_for_read().transport.driver_type == "amqp"
        without = {"without_mingle": True} if self._is_rabbitmq else {}
        super().__init__(*args, app=app, worker_options={**(worker_options or {}), **without}, **options)

    def on_ready(self) -> None:
        self._ready_at = time.monotonic()
        super().on_ready()

    def ensure_connected(self, conn: Any) -> Any:
        """Try until the broker can be reached. A refusal is raised, and ``start`` calls one of the methods below."""
        intervals = {"interval_start": 1, "interval_step": 1, "interval_max": MAX_PAUSE_SECONDS}
        conn.ensure_connection(lambda error, _: _log(error), callback=maybe_shutdown, **intervals)
        self.first_connection_attempt = False
        return conn

    def on_connection_error_before_connected(self, exc: BaseException) -> None:
        _log(exc)
        self._pause(exc)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CPendingDeprecationWarning)  # about a setting that celeryconfig.py sets
            super().on_connection_error_after_connected(exc)
        self._pause(exc)

    def stop(self) -> None:
        """Stop taking messages. A RabbitMQ that hangs must not keep the worker from ending."""
        connections = (self.connection, self.event_dispatcher and self.event_dispatcher.connection)
        for connection in connections if self._is_rabbitmq else ():
            if connection:
                bound_open_broker_sockets(connection, _SHUTDOWN_SECONDS)
        super().stop()

    def _pause(self, error: BaseException) -> None:
        """A lost connection is replaced at once; a refusal, and a connection that fails again, are waited out."""
        if self._ready_at is not None and time.monotonic() - self._ready_at > _STABLE_SECONDS:
            self._failures = 0
        self._ready_at = None
        self._failures += 1
        is_refusal = broker_problem(error) == "refused"
        deadline = time.monotonic() + pause_seconds(self._failures + is_refusal)
        while time.monotonic() < deadline:
            maybe_shutdown()
            time.sleep(_POLL_SECONDS)


def _log(error: BaseException) -> None:
    logger.warning(
        "broker_unavailable problem=%s reply=%s text=%r", broker_problem(error), reply_name(error), reply_text(error)
    )
