"""The sync store: carries commands to Redis from threads or greenlets, and fails fast when it cannot."""

from typing import Any, Final, TypeVar

import redis
from redis.exceptions import (
    BusyLoadingError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from jobs.errors import ChatqueueError, StoreUnavailable, no_memory
from jobs.storage.commands import Command
from jobs.storage.scripts import Argument

T = TypeVar("T")

_TRANSIENT_ERRORS: Final = (
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisConnectionError,
    RedisTimeoutError,
    TryAgainError,
)
_TRANSIENT_PREFIXES: Final = ("MISCONF", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN")
RETRY_AFTER_SECONDS: Final = 2  # Retry-After of a 503: about as long as a restart of Redis takes


def is_transient(error: BaseException) -> bool:
    """True when the same command may succeed later: Redis is away, silent, loading, read-only, full or without disk."""
    return isinstance(error, _TRANSIENT_ERRORS) or (
        isinstance(error, ResponseError) and str(error).startswith(_TRANSIENT_PREFIXES)
    )


def translate(error: RedisError) -> ChatqueueError | RedisError:
    """Our error for one of redis-py's; what does not pass by itself stays as it is: a bug."""
    if isinstance(error, OutOfMemoryError):
        return no_memory()
    if is_transient(error):
        return StoreUnavailable("Redis cannot be reached; try again", retry_after_seconds=RETRY_AFTER_SECONDS)
    return error


def with_script_source(command: Command[Any]) -> tuple[Argument, ...]:
    """The arguments of a command whose script the server does not know: the script itself instead of its name."""
    assert command.script is not None  # noqa: S101  # only a script's reply is NoScriptError
    return ("EVAL", command.script.source, *command.arguments[2:])


class Store:
    """One client, any number of callers. Every call is one round trip, or two when the server forgot a script."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def run(self, command: Command[T]) -> T:
        """Raises StoreUnavailable within the settings' time-outs, QueueFull, and what the command raises."""
        return command.read(self._replies([command])[0])

    def run_all(self, commands: list[Command[T]]) -> list[T]:
        """Many commands in one round trip, each on its own: another's failure undoes none."""
        if not commands:
            return []
        replies = self._replies(commands)
        return [command.read(reply) for command, reply in zip(commands, replies, strict=True)]

    def close(self) -> None:
        self._client.close()

    def _replies(self, commands: list[Command[T]]) -> list[Any]:
        replies = self._send([command.encoded() for command in commands])
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            for i, reply in zip(unknown, self._send([with_script_source(commands[i]) for i in unknown]), strict=True):
                replies[i] = reply
        for reply in replies:
            if isinstance(reply, RedisError):
                raise translate(reply) from reply
        return replies

    def _send(self, arguments: list[tuple[Argument, ...]]) -> list[Any]:
        """A connection that was closed while it idled in the pool is worth one more try; a silent server is not."""
        try:
            return self._send_once(arguments)
        except RedisTimeoutError as error:
            raise translate(error) from error
        except RedisConnectionError:
            try:
                return self._send_once(arguments)
            except RedisError as error:
                raise translate(error) from error

    def _send_once(self, arguments: list[tuple[Argument, ...]]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for command in arguments:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            return pipeline.execute(raise_on_error=False)
