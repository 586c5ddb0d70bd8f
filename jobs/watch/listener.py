"""Waiting for the end of a job, and following its log, without polling.

One thread (a greenlet under gevent) and one pub/sub connection serve every waiter of the process. Both start at the
first wait, so after a fork each worker process gets its own.

    a waiter      registers its channel ── subscribes to it on that connection ── checks, sleeps, checks when woken
    the thread    reads messages ── wakes waiters ── once a second unsubscribes from channels without a waiter

A waiter for the end listens to the channel on which the job's result is published, once and for Celery's own waiters
too. It takes the answer from that message. A follower listens to the channel of the job's events.

Why no wake-up is lost: a waiter is woken when its subscription is confirmed, also after a reconnection, and checks
again. That check sees every change before the confirmation; every change after it is published to the thread.

Logs:
    listener_disconnected  reply: waiters check every few seconds meanwhile; tried again, and logged when it changes
"""

import logging
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypeVar

import redis
from redis.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from jobs.errors import StoreUnavailable
from jobs.repeated_problem import RepeatedProblem
from jobs.storage import keys
from jobs.storage.commands import text
from jobs.storage.reply_errors import short_reply, translate
from jobs.watch.shared_connection import SharedConnection
from jobs.watch.waiters import Subscription, Waiter

T = TypeVar("T")
logger = logging.getLogger(__name__)

CONFIRM_SECONDS: Final = 0.5  # longest wait for the subscription before the first check
RECHECK_SECONDS: Final = 5.0  # a waiter checks at least this often, in case a message was lost
PING_AFTER_SECONDS: Final = 5.0  # of silence before a ping; after twice that the connection counts as dead
CLEANUP_SECONDS: Final = 1.0  # between two rounds of unsubscribing: many channels in one command
UNSUBSCRIBE_SECONDS: Final = PING_AFTER_SECONDS + 1.0  # for the thread of any process to drop a channel
RECONNECT_SECONDS: Final = 0.3  # between two attempts to reach Redis


class ChangeListener:
    """Any number of waiters per job and per process. Safe to share between threads and across a fork."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._closed = False
        self._problem = RepeatedProblem()
        self._reset_after_fork()
        this = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _reset_after_fork(this))

    def wait(
        self,
        job_id: str,
        is_done: Callable[[bytes | None], T | None],
        timeout_seconds: float,
        *,
        each_second: Callable[[], None] | None = None,
    ) -> T | None:
        """The first result of ``is_done`` that is not None; None when the time is up or the listener is closed.

        ``is_done`` is called first, when the job has ended and when the time is up. It gets the job's result as it is
        stored, once that is published. Errors of the first and the last call are raised; the other calls ignore an
        outage. ``each_second`` is called during the sleep and may raise to give up.
        """
        deadline = time.monotonic() + timeout_seconds
        waiter = Waiter()
        with self._registered(keys.result(job_id), waiter):
            waiter.woken.wait(min(CONFIRM_SECONDS, timeout_seconds))
            waiter.woken.clear()
            answer = is_done(waiter.message)
            while answer is None and not self._closed and (left := deadline - time.monotonic()) > 0:
                is_last = not waiter.sleep(min(left, RECHECK_SECONDS), each_second) and left <= RECHECK_SECONDS
                waiter.woken.clear()
                check = partial(is_done, waiter.message)
                answer = check() if is_last else _none_during_outage(check)
        return answer

    @contextmanager
    def subscribed(self, job_id: str) -> Iterator[Subscription]:
        """Receive every message about the job's log. The first ``take`` reports that messages may have been missed.

        During an outage of Redis no message arrives; after it ``take`` again reports missed messages.
        """
        subscription = Subscription()
        with self._registered(keys.changed_channel(job_id), subscription):
            yield subscription

    def has_waiters(self, job_id: str) -> bool:
        """Whether any connection waits for the job or follows it, in any process. Raises StoreUnavailable.

        Takes UNSUBSCRIBE_SECONDS if one in another process does: a process is subscribed for a while after its last
        waiter has left.
        """
        channels = (keys.changed_channel(job_id), keys.result(job_id))
        deadline = time.monotonic() + UNSUBSCRIBE_SECONDS
        while True:
            with self._lock:
                if not self._waiters.keys().isdisjoint(channels):
                    return True
            self._connection.unsubscribe_others(self._needed_from_now_on)
            if not self._subscriber_count(channels):
                return False
            if time.monotonic() > deadline:
                return True
            time.sleep(UNSUBSCRIBE_SECONDS / 20)

    def _subscriber_count(self, channels: tuple[str, ...]) -> int:
        try:
            return sum(int(count) for _, count in self._client.pubsub_numsub(*channels))
        except RedisError as error:
            raise translate(error) from error

    @property
    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """End every wait with its current result, and the thread. Later waits check once."""
        self._closed = True
        self._wake_all()
        thread = self._thread
        if thread is not None and thread.is_alive():
            try:
                self._client.publish(self._control, b"")
            except RedisError:
                logger.debug("listener_close_not_signalled")  # the thread ends when its present read times out
            thread.join(RECONNECT_SECONDS * 2)

    def _reset_after_fork(self) -> None:
        """A fresh state for this process: no waiter, no thread."""
        self._lock = threading.Lock()
        self._waiters: dict[str, set[Waiter]] = {}
        self._confirmed: set[str] = set()
        self._connection = SharedConnection()
        self._thread: threading.Thread | None = None
        self._control = keys.listener_channel(uuid.uuid4().hex)

    @contextmanager
    def _registered(self, channel: str, waiter: Waiter) -> Iterator[None]:
        try:
            if self._register(channel, waiter):
                self._connection.subscribe(self._needed)
            yield
        finally:
            with self._lock:
                waiters = self._waiters[channel]
                waiters.discard(waiter)
                if not waiters:
                    del self._waiters[channel]

    def _register(self, channel: str, waiter: Waiter) -> bool:
        """True when the thread is running and not subscribed to this channel."""
        with self._lock:
            self._waiters.setdefault(channel, set()).add(waiter)
            if channel in self._confirmed or self._closed:
                waiter.notify(None)
                return False
            if self._thread is not None and self._thread.is_alive():
                return True
            self._thread = threading.Thread(target=self._run, name="change-listener", daemon=True)
            self._thread.start()
            return False

    def _needed(self) -> set[str]:
        with self._lock:
            return set(self._waiters)

    def _needed_from_now_on(self) -> set[str]:
        """The channels with a waiter. A later waiter of any other channel needs a new confirmation."""
        with self._lock:
            self._confirmed.intersection_update(self._waiters)
            return set(self._waiters)

    def _run(self) -> None:
        while not self._closed:
            try:
                with self._client.pubsub() as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(self._control)
                    with self._connection.opened(pubsub):
                        self._listen(pubsub)
            except Exception as error:  # noqa: BLE001  # without the thread every waiter would depend on its slow recheck
                if self._problem.is_new(short_reply(error)):
                    logger.warning("listener_disconnected reply=%s", short_reply(error))
                time.sleep(RECONNECT_SECONDS)
            with self._lock:
                self._confirmed.clear()

    def _listen(self, pubsub: PubSub) -> None:
        is_pinged = False
        cleanup_at = time.monotonic() + CLEANUP_SECONDS
        self._connection.subscribe(self._needed)
        while not self._closed:
            message = pubsub.get_message(timeout=PING_AFTER_SECONDS)
            if message is None or time.monotonic() >= cleanup_at:
                self._connection.subscribe(self._needed)  # in case it has failed before
                self._connection.unsubscribe_others(self._needed_from_now_on)
                cleanup_at = time.monotonic() + CLEANUP_SECONDS
            if message is not None:
                is_pinged = False
                if text(message["channel"]) != self._control:  # its subscription alone is not enough
                    self._problem.end()
                self._dispatch(message)
            elif is_pinged:
                raise RedisConnectionError("the subscriber's connection is silent")
            else:
                is_pinged = True
                self._problem.end()
                self._connection.ping()

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] not in {"subscribe", "message"}:
            return
        channel, is_confirmation = text(message["channel"]), message["type"] == "subscribe"
        with self._lock:
            if is_confirmation and channel in self._waiters:
                self._confirmed.add(channel)
            for waiter in self._waiters.get(channel, ()):
                waiter.notify(None if is_confirmation else message["data"])

    def _wake_all(self) -> None:
        with self._lock:
            for waiters in self._waiters.values():
                for waiter in waiters:
                    waiter.notify(None)


def _reset_after_fork(this: "weakref.ref[ChangeListener]") -> None:
    """In a forked child: the parent's thread and waiters do not exist here, and its lock may have been held."""
    listener = this()
    if listener is not None:
        listener._reset_after_fork()  # noqa: SLF001  # same class


def _none_during_outage(is_done: Callable[[], T | None]) -> T | None:
    try:
        return is_done()
    except StoreUnavailable:
        return None
