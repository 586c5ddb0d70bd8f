"""Publishes the messages of jobs in the background, over a broker that is not the record store.

A caller never waits for the broker: the record stands, and recovery publishes what this module does not. One thread per
process (under gevent a greenlet) does all work with the broker. It has one connection, keeps the order of the messages,
and connects again when the connection fails. Messages that find the queue full, and messages that could not be
published before they count as lost, are left to recovery: it would publish them a second time.

Used by the web processes for new jobs, and by the workers for retries and recovery.

Logs:
    broker_unavailable    problem, reply: once when publishing begins to fail, and when the reason changes
    broker_available      publishing works again
    messages_not_published  count: messages that were left to recovery, once a second at most
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Literal, TypeAlias

from celery import Celery

from jobs.settings import Settings
from jobs.storage.transitions.maintenance import LOST_MESSAGE_SECONDS
from tasks.broker import BrokerConnection, OutgoingMessage
from tasks.broker_errors import BrokerProblem, broker_problem, pause_seconds, reply_name

logger = logging.getLogger(__name__)

BrokerState: TypeAlias = BrokerProblem | Literal["reachable"]

MAX_WAITING_MESSAGES: Final = 10_000  # 2 MB; a healthy broker takes that many in a few seconds
_MAX_BATCH: Final = 100  # messages whose confirmations are awaited together
_IDLE_SECONDS: Final = 60.0  # then the connection is closed: networks drop idle ones silently
_FRESH_SECONDS: Final = 1.0  # a success is proof for this long that the broker takes messages
_CLOSE_SECONDS: Final = 1.0  # for the messages that wait when the process ends; recovery publishes the rest

Question: TypeAlias = Callable[[BrokerConnection], Any]


class Publisher:
    """One for each process. Starts no thread and opens no connection before its first use. Thread-safe."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._reset()

    def publish(self, message: OutgoingMessage) -> None:
        """Have the message published soon. Never waits for the broker and never raises."""
        with self._running():
            if len(self._messages) < MAX_WAITING_MESSAGES:
                self._messages.append((time.monotonic(), message))
            else:
                self._left_to_recovery += 1
            self._changed.notify_all()

    def count_messages(self, queue: str) -> Future[int]:
        """Messages that wait at the broker. Calls made before the broker has answered share its answer."""
        return self._ask(f"count {queue}", lambda connection: connection.count_messages(queue))

    def state(self, seconds: float) -> BrokerState:
        """Whether the broker takes messages now. Asks it if that is not known, and waits at most that long."""
        with self._running():
            if time.monotonic() - self._succeeded_at < _FRESH_SECONDS:
                return "reachable"
        try:
            self._ask("check", BrokerConnection.check).result(seconds)
        except TimeoutError:
            return self._problem or "unreachable"
        except Exception as error:  # noqa: BLE001  # whatever it is, it is the broker's state
            return broker_problem(error)
        return "reachable"

    def close(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Publish what waits, for at most that long, and end the thread. May be called repeatedly."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and self._pid == os.getpid():
            thread.join(seconds)

    def _ask(self, name: str, question: Question) -> Future[Any]:
        with self._running():
            if name not in self._questions or self._questions[name][1].cancelled():
                self._questions[name] = (question, Future())
                self._changed.notify_all()
            return self._questions[name][1]

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._messages: deque[tuple[float, OutgoingMessage]] = deque()
        self._questions: dict[str, tuple[Question, Future[Any]]] = {}
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._left_to_recovery = 0
        self._failures = 0
        self._problem: BrokerProblem | None = None
        self._logged: tuple[str, str] | None = None
        self._succeeded_at = float("-inf")

    def _running(self) -> threading.Condition:
        """The lock of the state, with the thread started. A forked child gets a new state: it has no such thread."""
        if self._pid != os.getpid():
            self._reset()
        if self._thread is None:
            with self._changed:
                if self._thread is None and not self._is_closing:
                    self._thread = threading.Thread(target=self._run, name="chatqueue-publisher", daemon=True)
                    self._thread.start()
        return self._changed

    # The rest runs on the thread.

    def _run(self) -> None:
        while self._wait_for_work(None):
            try:
                self._serve()
            except Exception as error:  # noqa: BLE001  # no error of a broker may end the thread
                self._on_failure(error)
                if self._is_closing:
                    return

    def _serve(self) -> None:
        """Work with one connection until it fails, is idle for long, or the process ends."""
        connection = BrokerConnection(self._app, self._settings)
        try:
            while self._wait_for_work(_IDLE_SECONDS):
                self._answer_questions(connection)
                self._publish_batch(connection)
                self._on_success()
        except BaseException:
            connection.abandon()
            raise
        connection.close()

    def _wait_for_work(self, seconds: float | None) -> bool:
        """False when there is none in time, or none is left at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._questions or self._is_closing, seconds)
            return bool(self._messages or self._questions)

    def _answer_questions(self, connection: BrokerConnection) -> None:
        for question, future in self._take_questions():
            try:
                future.set_result(question(connection))
            except Exception as error:
                future.set_exception(error)
                raise

    def _take_questions(self) -> list[tuple[Question, Future[Any]]]:
        """The open questions, without those whose callers have given up."""
        with self._changed:
            asked, self._questions = self._questions, {}
        return [(question, future) for question, future in asked.values() if future.set_running_or_notify_cancel()]

    def _publish_batch(self, connection: BrokerConnection) -> None:
        """Publish the oldest messages. They stay in the queue until the broker has confirmed all of them."""
        self._drop_lost_messages()
        with self._changed:
            batch = [message for _, message in list(self._messages)[:_MAX_BATCH]]
        connection.publish(batch)
        with self._changed:
            for _ in batch:
                self._messages.popleft()

    def _drop_lost_messages(self) -> None:
        """Leave messages to recovery that by now count as lost."""
        too_old = time.monotonic() - LOST_MESSAGE_SECONDS
        with self._changed:
            while self._messages and self._messages[0][0] < too_old:
                self._messages.popleft()
                self._left_to_recovery += 1
            count, self._left_to_recovery = self._left_to_recovery, 0
        if count:
            logger.warning("messages_not_published count=%d", count)

    def _on_success(self) -> None:
        self._failures = 0
        self._succeeded_at = time.monotonic()
        if self._logged is not None:
            logger.info("broker_available")
        self._problem = self._logged = None

    def _on_failure(self, error: Exception) -> None:
        self._failures += 1
        self._succeeded_at = float("-inf")
        self._problem = broker_problem(error)
        if self._logged != (reason := (self._problem, reply_name(error))) and self._failures > 1:
            self._logged = reason
            logger.warning("broker_unavailable problem=%s reply=%s", *reason)
        for _, future in self._take_questions():
            future.set_exception(error)
        self._drop_lost_messages()
        with self._changed:
            self._changed.wait_for(lambda: self._is_closing, pause_seconds(self._failures))
