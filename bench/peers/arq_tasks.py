"""arq: a coroutine and the settings of its worker."""

import os
from typing import Any

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from openai import AsyncOpenAI, DefaultAioHttpClient

redis_settings = RedisSettings.from_dsn(os.environ["REDIS_URL"])
poll_seconds = float(os.environ.get("PEER_POLL_SECONDS") or 0.5)  # arq's own default
_pool: ArqRedis | None = None


async def answer(ctx: dict[str, Any], message: str) -> str:
    completion = await ctx["openai"].chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": message}]
    )
    return completion.choices[0].message.content


async def startup(ctx: dict[str, Any]) -> None:
    ctx["openai"] = AsyncOpenAI(http_client=DefaultAioHttpClient())


async def shutdown(ctx: dict[str, Any]) -> None:
    await ctx["openai"].close()


class WorkerSettings:
    functions = (answer,)
    on_startup = startup
    on_shutdown = shutdown
    redis_settings = redis_settings
    max_jobs = int(os.environ["PEER_CONCURRENCY"])
    poll_delay = poll_seconds


async def ask(message: str) -> str:
    global _pool  # noqa: PLW0603
    _pool = _pool or await create_pool(redis_settings)
    job = await _pool.enqueue_job("answer", message)
    return await job.result(timeout=30, poll_delay=poll_seconds)
