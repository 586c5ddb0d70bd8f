"""Connections of kombu and Celery to Redis on which "not now" is a lost connection.

kombu and Celery connect again after a lost connection, but an error reply ends the worker. Many error replies only mean
that Redis cannot serve the command now, e.g. during a failover or while its disk is full. So the connection is closed
and such a reply becomes a ``redis.ConnectionError``. With Sentinels, the next connection looks the primary up again.

Every client that a worker's broker and result backend use gets its connections from here, so this holds for each
command that they send: fetches, publications, remote control, events and results.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from jobs.storage.reply_errors import first_word, is_not_now, short_reply


class RedisNotNow(RedisConnectionError):
    """An error reply that means "not now". Celery logs its texts: the first word and the missing right."""

    def __init__(self, reply: BaseException) -> None:
        self.short_reply = short_reply(reply)
        super().__init__(f"Redis cannot serve this now ({self.short_reply})", status_code=first_word(reply))

    def __repr__(self) -> str:
        return self.short_reply


class RedisUnusable(Exception):
    """Redis refuses to open the connection, for a reason that does not pass by itself, e.g. a database out of range."""


def as_lost_connections(connection_class: type[Any]) -> type[Any]:
    """The same class of redis-py's connections, on which "not now" is a lost connection."""
    return type(connection_class.__name__, (_NotNowIsLost, connection_class), {})


class _NotNowIsLost:
    """Mixed into redis-py's classes for TCP, TLS, Unix sockets and Sentinels."""

    _is_opening = False
    disconnect: Any

    def connect(self) -> None:
        """With Sentinels this also looks up the primary, and a Sentinel may refuse that."""
        with _translating_failures():
            super().connect()  # type: ignore[misc]

    def connect_check_health(self, *args: Any, **options: Any) -> None:
        with _translating_failures():
            super().connect_check_health(*args, **options)  # type: ignore[misc]

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """redis-py ignores some refusals while it opens a connection, so it must see them unchanged."""
        self._is_opening = True
        try:
            super().on_connect_check_health(check_health)  # type: ignore[misc]
        finally:
            self._is_opening = False

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            reply = super().read_response(*args, **options)  # type: ignore[misc]
        except RedisError as error:
            if (refusal := self._refusal(error)) is None:
                raise
        else:
            parts = reply if isinstance(reply, list) else ()  # EXEC replies with a list, which may contain errors
            refusal = next((part for part in parts if isinstance(part, ResponseError) and self._refusal(part)), None)
            if refusal is None:
                return reply
        self.disconnect()
        raise RedisNotNow(refusal)

    def _refusal(self, error: RedisError) -> ResponseError | None:
        """The reply that this error reports, if it means "not now"."""
        if self._is_opening:
            return None
        if isinstance(error.__context__, ReadOnlyError):  # redis-py's connection for Sentinels has translated it
            return error.__context__
        return error if isinstance(error, ResponseError) and is_not_now(error) else None


@contextmanager
def _translating_failures() -> Iterator[None]:
    """Translates an error reply to a command that opens a connection."""
    try:
        yield
    except ResponseError as error:
        if is_not_now(error):
            raise RedisNotNow(error) from None
        raise RedisUnusable(str(error)) from None
