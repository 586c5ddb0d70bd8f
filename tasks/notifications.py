"""Notifications from Redis to this worker process: what other processes have done that concerns it at once.

A notification may get lost with its connection. So each has a slower way to what it reports, see ``Handlers``.

Logs:
    listener_refused  reply: Redis does not let this worker subscribe; it learns everything by the slower way
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final, NoReturn, TypeAlias

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from jobs.repeated_problem import RepeatedProblem
from jobs.storage.reply_errors import is_not_now, short_reply

logger = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0

Handlers: TypeAlias = Mapping[str, Callable[[str], None]]  # by channel; called with the message


async def listen_forever(client: redis.asyncio.Redis, handlers: Handlers, timeout_seconds: float) -> NoReturn:
    """Call the handler of each message. Subscribes again after a lost connection.

    ``timeout_seconds``: how often a quiet connection is checked.
    """
    problem = RepeatedProblem()
    while True:
        try:
            async with client.pubsub(ignore_subscribe_messages=True) as subscription:
                await subscription.subscribe(*handlers)
                while True:
                    message = await subscription.get_message(timeout=timeout_seconds)
                    problem.end()
                    if message is not None:
                        handlers[message["channel"].decode()](message["data"].decode(errors="replace"))
        except RedisError as error:
            if not is_not_now(error):
                raise
            if isinstance(error, ResponseError) and problem.is_new(short_reply(error)):
                logger.warning("listener_refused reply=%s", short_reply(error))
            await asyncio.sleep(_RETRY_SECONDS)
