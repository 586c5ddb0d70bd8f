"""Celery's consumer, the part of a worker that is connected to the broker: it waits until the broker serves it again.

Celery ends the worker when the broker refuses something (a right, a queue), and connects again without a pause, with
one traceback a second. Here one line names the reply, and the worker tries again, at the latest every few seconds. Only
a broker that can never serve it, such as a Redis without BLMPOP, ends the worker, with a non-zero exit code. So does a
Redis user that lacks a right when the worker starts.

Not started: Celery's delayed delivery, which declares 28 queues at RabbitMQ and binds ours to them, for messages with a
countdown. Ours have none: waiting jobs are in Redis. And not on RabbitMQ: mingle, which publishes on the connection of
the consumer. While RabbitMQ is short of memory it stops reading from such a connection, so that the worker could not
take the messages that wait. What mingle shares (revoked ids) is in the records.

Logs:
    broker_unavailable, broker_available  see reconnect_log.py
    worker_cannot_take_jobs  error, reply: the broker can never serve this worker
    rights_missing  missing: what the user of this worker may not do in Redis. Looked at once, before it takes jobs; a
                    right that is lost later is waited for
"""

import time
import warnings
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, Final

from celery.exceptions import CPendingDeprecationWarning, WorkerShutdown
from celery.platforms import EX_FAILURE
from celery.utils.log import get_logger
from celery.utils.threads import bound_open_broker_sockets
from celery.worker import pidbox
from celery.worker.consumer import control, gossip
from celery.worker.consumer.consumer import Consumer as CeleryConsumer
from celery.worker.state import maybe_shutdown, task_ready
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from jobs.settings import get_settings
from jobs.storage.keys import DEFAULT_QUEUE
from tasks.broker_errors import MAX_PAUSE_SECONDS, broker_problem, pause_seconds
from tasks.celery_ext.message_check import Unfit, check_task, dropped_messages
from tasks.celery_ext.reconnect_log import ReconnectLog
from tasks.celery_ext.redis_connection import RedisUnusable
from tasks.celery_ext.required_rights import RequiredRights, WorkerLacksRights
from tasks.celery_ext.shutdown import announce_failure, is_stopping

logger = get_logger(__name__)

_STABLE_SECONDS: Final = 0.5  # a connection that has worked for this long starts a new row of failures
_SHUTDOWN_SECONDS: Final = 1.0  # for each answer of the broker while the worker stops
_POLL_SECONDS: Final = 0.2  # how often a worker that waits looks for a shutdown
_DELAYED_DELIVERY: Final = "celery.worker.consumer.delayed_delivery:DelayedDelivery"
_CONTROL: Final = "celery.worker.consumer.control:Control"
_GOSSIP: Final = "celery.worker.consumer.gossip:Gossip"
_MAX_REPLY_CHARS: Final = 120


class Pidbox(pidbox.Pidbox):  # type: ignore[misc]  # celery ships no types
    """Receives remote control commands. If their reply cannot be published, the connection counts as lost."""

    def on_message(self, body: Any, message: Any) -> None:
        self._forward_clock()
        try:
            self.node.handle_message(body, message)
        except KeyError as error:
            logger.error("No such control command: %s", error)  # noqa: TRY400
        except self.c.connection_errors:
            raise
        except Exception:
            logger.exception("Control command error")
            self.reset()


class Control(control.Control):  # type: ignore[misc]  # celery ships no types
    """Celery's step for remote control, with our Pidbox."""

    name = "celery.worker.consumer.control.Control"

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        if not self.is_green:
            self.box = Pidbox(c)
            self.start, self.stop, self.shutdown = self.box.start, self.box.stop, self.box.shutdown


class Gossip(gossip.Gossip):  # type: ignore[misc]  # celery ships no types
    """Celery's step, which can also be closed after its connection is lost.

    Celery asks the connection which errors to ignore, and has dropped it by then.
    """

    name = "celery.worker.consumer.gossip.Gossip"

    def _close(self, c: Any, cancel_consumers: bool = True) -> None:
        super()._close(SimpleNamespace(connection=c), cancel_consumers)


_OWN_STEPS: Final = {_CONTROL: f"{__name__}:Control", _GOSSIP: f"{__name__}:Gossip"}


class Consumer(CeleryConsumer):  # type: ignore[misc]  # celery ships no types
    """Waits between two tries; see above."""

    connection_errors: Any
    on_task_request: Any

    class Blueprint(CeleryConsumer.Blueprint):  # type: ignore[misc]  # celery ships no types
        """The steps that start when the worker has connected."""

        default_steps: Final = [
            _OWN_STEPS.get(step, step) for step in CeleryConsumer.Blueprint.default_steps if step != _DELAYED_DELIVERY
        ]

    def __init__(self, *args: Any, app: Any, worker_options: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._failures = 0
        self._ready_at: float | None = None
        self._has_paused = False
        self._reconnect_log = ReconnectLog()
        self._rights = RequiredRights(get_settings())
        self._is_rabbitmq = app.connection_for_read().transport.driver_type == "amqp"
        without = {"without_mingle": True} if self._is_rabbitmq else {}
        super().__init__(*args, app=app, worker_options={**(worker_options or {}), **without}, **options)
        errors: tuple[type[Exception], ...] = self.connection_errors
        self.connection_errors = (*errors, OperationalError)  # kombu's name for a connection lost while publishing
        self._take = self.on_task_request
        self.on_task_request = self._take_unless_stopping

    def start(self) -> None:
        """Run until the worker stops. An error that cannot be waited out ends the worker: running jobs go back."""
        try:
            super().start()
        except WorkerLacksRights as error:
            announce_failure(self.hostname)
            logger.critical("rights_missing missing=%r advice=docs/operations.md#rights", str(error))
            raise WorkerShutdown(EX_FAILURE) from error
        except (RedisError, RedisUnusable) as error:
            announce_failure(self.hostname)
            reply = str(error).partition(",")[0][:_MAX_REPLY_CHARS]  # the rest quotes the command's arguments
            logger.critical("worker_cannot_take_jobs error=%s reply=%r", type(error).__name__, reply)
            raise WorkerShutdown(EX_FAILURE) from error
        except Exception:
            announce_failure(self.hostname)
            raise

    def create_task_handler(self, **options: Any) -> Callable[[Any], Any]:
        """Celery's handler, for messages that are fit for it. Others are acknowledged and dropped."""
        handle = super().create_task_handler(**options)

        def handle_fit_message(message: Any) -> Any:
            try:
                check_task(message.headers, message.content_type, message.body, self.strategies)
            except Unfit as error:
                dropped_messages.add(str(error))
                return message.ack_log_error(logger, self.connection_errors)
            return handle(message)

        return handle_fit_message

    @property
    def is_ready(self) -> bool:
        """Whether Celery's signal ``worker_ready`` has been sent."""
        return self.init_callback is None

    def wake(self) -> None:
        """Let the main thread continue, which otherwise waits up to a second. May be called from any other thread."""
        if self.hub is not None:
            self.hub.call_soon(int)

    def take_jobs(self, is_allowed: bool) -> None:
        """Stop or resume taking messages of jobs. May be called from any other thread."""
        self.call_soon(self._resume_taking if is_allowed else self._pause_taking)
        self.wake()

    def _pause_taking(self) -> None:
        if DEFAULT_QUEUE in self.app.amqp.queues.consume_from:
            self._has_paused = True
            if self.task_consumer is None:  # not connected: without the queue it will connect
                self.app.amqp.queues.deselect(DEFAULT_QUEUE)
            else:
                self.cancel_task_queue(DEFAULT_QUEUE)

    def _resume_taking(self) -> None:
        """Not if the queue was cancelled by remote control, or if this worker was started for other queues."""
        if self._has_paused:
            self._has_paused = False
            if self.task_consumer is None:
                self.app.amqp.queues.select_add(self.app.amqp.queues[DEFAULT_QUEUE])
            else:
                self.add_task_queue(DEFAULT_QUEUE)

    def _take_unless_stopping(self, request: Any) -> None:
        """Return what arrives after a signal to stop, and before the main thread has noticed the signal."""
        if is_stopping():
            request.reject(requeue=True)
            task_ready(request)
        else:
            self._take(request)

    def on_ready(self) -> None:
        self._ready_at = time.monotonic()
        self.timer.call_after(_STABLE_SECONDS, self._note_stable, (self._ready_at,))
        super().on_ready()

    def _note_stable(self, ready_at: float) -> None:
        if self._ready_at == ready_at:
            self._reconnect_log.recovered()

    def ensure_connected(self, conn: Any) -> Any:
        """Try until the broker can be reached. A refusal is raised, and ``start`` calls one of the methods below.

        The rights come first: without them the broker refuses the connection, in a way that looks as if it could pass.
        """
        intervals = {"interval_start": 1, "interval_step": 1, "interval_max": MAX_PAUSE_SECONDS}
        self._rights.require()
        conn.ensure_connection(lambda error, _: self._reconnect_log.log(error), callback=maybe_shutdown, **intervals)
        self._rights.require()  # Redis may have been away before
        self.first_connection_attempt = False
        return conn

    def on_connection_error_before_connected(self, exc: BaseException) -> None:
        self._reconnect_log.log(exc)
        self._pause(exc)

    def on_connection_error_after_connected(self, exc: BaseException) -> None:
        self._reconnect_log.failed(exc)
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
