"""The sync store: sends commands to Redis from threads or greenlets, and fails fast during an outage."""

from typing import Any, Self, TypeVar

import redis
from redis.exceptions import (
    ConnectionError as RedisConnectionError,
)
from redis.exceptions import NoScriptError, RedisError
from redis.exceptions import (
    TimeoutError as RedisTimeoutError,
)

from jobs.settings import Settings
from jobs.storage.commands import Command
from jobs.storage.durability import Durability, WriteSafety, primary
from jobs.storage.redis_client import connect
from jobs.storage.reply_errors import NotSafe, must_reconnect, translate
from jobs.storage.scripts import Argument

T = TypeVar("T")


def with_script_source(command: Command[Any]) -> tuple[Argument, ...]:
    """The arguments of a script command with its source in place of its hash, for a server without the script."""
    assert command.script is not None  # noqa: S101  # only a script's reply is NoScriptError
    return ("EVAL", command.script.source, *command.arguments[2:])


class Store:
    """One client, any number of callers. A call takes one round trip, and one more if the server lacks a script."""

    def __init__(self, client: redis.Redis, safety: WriteSafety | None = None) -> None:
        self._client = client
        self._safety = safety or WriteSafety()

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """A store with a client of its own. Opens no connection yet."""
        return cls(connect(settings), WriteSafety.of(settings))

    def run(self, command: Command[T]) -> T:
        """Raises StoreUnavailable within the settings' timeouts, QueueFull, and whatever reading the reply raises."""
        return command.value(self._replies([command])[0])

    def run_all(self, commands: list[Command[T]]) -> list[T]:
        """Many commands in one round trip. They are independent: if one fails, the others still take effect."""
        if not commands:
            return []
        replies = self._replies(commands)
        return [command.value(reply) for command, reply in zip(commands, replies, strict=True)]

    def close(self) -> None:
        self._client.close()

    def _replies(self, commands: list[Command[T]]) -> list[Any]:
        must_be_safe = any(command.must_be_safe for command in commands)
        replies, problem = self._send([command.encoded() for command in commands], must_be_safe)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:  # sent again even if the first writes are not safe: a cancel takes effect at once
            answers, later_problem = self._send([with_script_source(commands[i]) for i in unknown], must_be_safe)
            problem = problem or later_problem
            for i, reply in zip(unknown, answers, strict=True):
                replies[i] = reply
        if problem is not None:
            self._leave_server()
            raise translate(problem) from problem
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, RedisError) and not command.bears(reply):
                raise translate(reply) from reply
        return replies

    def _send(self, arguments: list[tuple[Argument, ...]], must_be_safe: bool) -> tuple[list[Any], NotSafe | None]:
        """The replies, and why the writes are not safe, if they are not.

        Retries once if the connection was closed, perhaps while idle in the pool; never after a timeout.
        """
        try:
            return self._send_once(arguments, must_be_safe)
        except RedisTimeoutError as error:
            self._leave_server()
            raise translate(error) from error
        except RedisConnectionError:
            self._leave_server()
            try:
                return self._send_once(arguments, must_be_safe)
            except RedisError as error:
                raise translate(error) from error
        except RedisError as error:  # of the question for replicas
            raise translate(error) from error

    def _send_once(self, arguments: list[tuple[Argument, ...]], must_be_safe: bool) -> tuple[list[Any], NotSafe | None]:
        durability = self._durability() if must_be_safe else Durability()
        with self._client.pipeline(transaction=False) as pipeline:
            for command in (*arguments, *durability.barrier):
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            replies = pipeline.execute(raise_on_error=False)
        if any(map(must_reconnect, replies)):
            self._leave_server()
        elif durability.barrier:
            try:
                durability.check(replies[-1])
            except NotSafe as error:
                return replies[: len(arguments)], error
        return replies[: len(arguments)], None

    def _durability(self) -> Durability:
        if self._safety.must_look:
            command = primary()
            try:
                reply = self._client.execute_command(*command.arguments)  # type: ignore[no-untyped-call]
            except RedisError as error:
                self._safety.observe_error(error)
            else:
                self._safety.observe(command.read(reply))
        return self._safety.durability

    def _leave_server(self) -> None:
        """Another server may be the primary: the next call connects again, and finds out."""
        self._safety.forget()
        self._client.connection_pool.disconnect(inuse_connections=False)
