"""The sync store: sends commands to Redis from threads or greenlets, and fails fast during an outage."""

from typing import Any, TypeVar

import redis
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from jobs.storage.commands import Command
from jobs.storage.reply_errors import translate
from jobs.storage.scripts import Argument

T = TypeVar("T")


def with_script_source(command: Command[Any]) -> tuple[Argument, ...]:
    """The arguments of a script command with its source in place of its hash, for a server without the script."""
    assert command.script is not None  # noqa: S101  # only a script's reply is NoScriptError
    return ("EVAL", command.script.source, *command.arguments[2:])


class Store:
    """One client, any number of callers. A call takes one round trip, and one more if the server lacks a script."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def run(self, command: Command[T]) -> T:
        """Raises StoreUnavailable within the settings' timeouts, QueueFull, and whatever reading the reply raises."""
        return command.read(self._replies([command])[0])

    def run_all(self, commands: list[Command[T]]) -> list[T]:
        """Many commands in one round trip. They are independent: if one fails, the others still take effect."""
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
        """Retries once if the connection was closed, perhaps while idle in the pool; never after a timeout."""
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
