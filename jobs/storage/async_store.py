"""The async store: sends commands to Redis from one event loop, with many callers sharing a round trip.

Commands that arrive during a round trip are sent together in the next one. A worker with hundreds of streams therefore
needs a few round trips per interval, not per stream. During an outage all commands wait. A command that Redis refuses,
or that is not safe yet, waits alone.

Logs:
    store_unavailable  reply, waiting: the first word of Redis' refusal, and how many commands wait until it is over
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Self, TypeAlias, TypeVar

import redis.asyncio
from redis.exceptions import NoScriptError, RedisError

from jobs.errors import StoreUnavailable
from jobs.settings import Settings
from jobs.storage.commands import Command
from jobs.storage.durability import Durability, WriteSafety, primary
from jobs.storage.redis_client import connect_async
from jobs.storage.reply_errors import NotSafe, is_not_now, must_reconnect, short_reply
from jobs.storage.scripts import Argument
from jobs.storage.sync_store import with_script_source

T = TypeVar("T")
logger = logging.getLogger(__name__)

_MAX_BATCH_SIZE: Final = 500  # commands; keeps a round trip short when thousands are pending after an outage
_RETRY_SECONDS: Final = (0.05, 0.1, 0.2, 0.5, 1.0)  # waits between retries during an outage; the last one repeats
_REFUSED_RETRY_SECONDS: Final = 0.2
_LOG_SECONDS: Final = 10.0  # between two log lines about refused commands

Pending: TypeAlias = tuple[Command[Any], asyncio.Future[Any]]


class AsyncStore:
    """Resends each command until Redis replies. Every transition is safe to resend. A caller may set its own timeout.

    Belongs to the event loop in which its first command is run.
    """

    def __init__(self, client: redis.asyncio.Redis, safety: WriteSafety | None = None) -> None:
        self._client = client
        self._safety = safety or WriteSafety()
        self._pending: list[Pending] = []
        self._refused: list[Pending] = []  # they wait for their next try
        self._flush_task: asyncio.Task[None] | None = None
        self._last_outage = -math.inf
        self._last_refusal = ""  # first word of the reply
        self._logged_at = -math.inf
        self._waits_for_redis = True
        self.unsafe = asyncio.Event()  # set while the latest write was not as safe as it must be
        self.unsafe_problem = ""

    @classmethod
    def open(cls, settings: Settings) -> Self:
        """A store with a client of its own. Opens no connection yet."""
        return cls(connect_async(settings), WriteSafety.of(settings))

    @property
    def seconds_since_outage(self) -> float:
        """Time since a command last failed because of an outage; infinite if none has."""
        return time.monotonic() - self._last_outage

    async def run(self, command: Command[T]) -> T:
        """Send the command and wait for its reply, however long an outage of Redis lasts.

        Raises RedisError when Redis refuses the command permanently, InternalError when the command cannot be encoded,
        StoreUnavailable only after ``stop_waiting``, and whatever reading the reply raises.
        """
        sent = replace(command, arguments=command.encoded())
        future = asyncio.get_running_loop().create_future()
        self._send_soon([(sent, future)])
        return command.value(await future)

    def stop_waiting(self) -> None:
        """Stop retrying, because the process is ending: ``run`` then raises StoreUnavailable during an outage."""
        self._waits_for_redis = False
        for waiting in (self._pending, self._refused):
            _fail_pending(waiting)
            waiting.clear()

    async def close(self) -> None:
        if self._flush_task is not None:
            self._flush_task.cancel()
        await self._client.aclose()

    def _send_soon(self, pairs: list[Pending]) -> None:
        self._pending += pairs
        if self._flush_task is None and self._pending:
            self._flush_task = asyncio.create_task(self._flush())

    def _send_later(self, pairs: list[Pending]) -> None:
        """Try these again in a moment. The other commands do not wait for them."""
        is_first = not self._refused
        self._refused += pairs
        if is_first:
            asyncio.get_running_loop().call_later(_REFUSED_RETRY_SECONDS, self._retry_refused)
            if time.monotonic() - self._logged_at > _LOG_SECONDS:
                self._log_waiting(len(pairs))

    def _retry_refused(self) -> None:
        refused, self._refused = self._refused, []
        self._send_soon(refused)

    def _log_waiting(self, count: int) -> None:
        self._logged_at = time.monotonic()
        logger.warning("store_unavailable reply=%s waiting=%d", self._last_refusal, count)

    async def _flush(self) -> None:
        tries = 0
        while self._pending:
            batch = [pair for pair in self._pending[:_MAX_BATCH_SIZE] if not pair[1].done()]
            del self._pending[:_MAX_BATCH_SIZE]
            unsent, is_outage = await self._send_batch(batch)
            if not self._waits_for_redis:
                _fail_pending(unsent)
            elif unsent and is_outage:
                self._pending[:0] = unsent
                if tries == 0:
                    self._log_waiting(len(unsent))
                await asyncio.sleep(_RETRY_SECONDS[min(tries, len(_RETRY_SECONDS) - 1)])
                tries += 1
                continue
            elif unsent:
                self._send_later(unsent)
            tries = 0
        self._flush_task = None

    async def _send_batch(self, batch: list[Pending]) -> tuple[list[Pending], bool]:
        """Send the batch and resolve its futures.

        Returns the commands that must be sent again, and whether Redis is away: then no other command would succeed.
        """
        try:
            replies = await self._replies([command for command, _ in batch])
        except Exception as error:  # noqa: BLE001  # a batch that fails must not leave its callers waiting
            replies = [error] * len(batch)
        unsent = []
        if any(map(must_reconnect, replies)):
            await self._leave_server()
        is_outage = any(must_reconnect(reply) and not isinstance(reply, NotSafe) for reply in replies)
        for (command, future), reply in zip(batch, replies, strict=True):
            if isinstance(reply, Exception) and is_not_now(reply):
                self._last_outage, self._last_refusal = time.monotonic(), short_reply(reply)
                unsent.append((command, future))
            elif not future.done():
                _resolve(future, command, reply)
        return unsent, is_outage

    async def _replies(self, commands: Sequence[Command[Any]]) -> list[Any]:
        """The replies; NotSafe for a command that took effect but is not yet as safe as it must be."""
        must_be_safe = any(command.must_be_safe for command in commands)
        durability = await self._durability() if must_be_safe else Durability()
        replies, problem = await self._send([command.arguments for command in commands], durability)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            answers, later_problem = await self._send([with_script_source(commands[i]) for i in unknown], durability)
            problem = problem or later_problem
            for i, reply in zip(unknown, answers, strict=True):
                replies[i] = reply
        if must_be_safe:
            self._note_safety(problem)
        if problem is not None:
            return [
                problem if command.must_be_safe and not isinstance(reply, Exception) else reply
                for command, reply in zip(commands, replies, strict=True)
            ]
        return replies

    def _note_safety(self, problem: NotSafe | None) -> None:
        if problem is None:
            self.unsafe.clear()
        else:
            self.unsafe_problem = str(problem)
            self.unsafe.set()

    async def _send(
        self, arguments: list[tuple[Argument, ...]], durability: Durability
    ) -> tuple[list[Any], NotSafe | None]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for command in (*arguments, *durability.barrier):
                pipeline.execute_command(*command)
            replies = await pipeline.execute(raise_on_error=False)
        problem = None
        if durability.barrier:
            try:
                durability.check(replies[-1])
            except NotSafe as error:
                problem = error
        return replies[: len(arguments)], problem

    async def _durability(self) -> Durability:
        if self._safety.must_look:
            command = primary()
            try:
                reply = await self._client.execute_command(*command.arguments)  # type: ignore[no-untyped-call]
            except RedisError as error:
                self._safety.observe_error(error)
            else:
                await asyncio.to_thread(self._safety.observe, command.read(reply))  # may ask the Sentinels
        return self._safety.durability

    async def _leave_server(self) -> None:
        """Another server may be the primary: the next batch connects again, and finds out."""
        self._safety.forget()
        with contextlib.suppress(RedisError, OSError):  # a connection that cannot be closed properly is gone as well
            await self._client.connection_pool.disconnect(inuse_connections=False)


def _fail_pending(pairs: list[Pending]) -> None:
    for _, future in pairs:
        if not future.done():
            future.set_exception(StoreUnavailable("Redis is unavailable and the process is stopping"))


def _resolve(future: asyncio.Future[Any], command: Command[Any], reply: Any) -> None:
    is_borne = isinstance(reply, RedisError) and command.bears(reply)
    if isinstance(reply, Exception) and not is_borne:
        future.set_exception(reply)
    else:
        future.set_result(reply)
