"""taskiq with its Redis stream broker, which its documentation shows and which acknowledges messages."""

import os

from openai import AsyncOpenAI, DefaultAioHttpClient
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

broker = RedisStreamBroker(url=os.environ["REDIS_URL"]).with_result_backend(
    RedisAsyncResultBackend(redis_url=os.environ["REDIS_URL"], result_ex_time=3600)
)
poll_seconds = float(os.environ.get("PEER_POLL_SECONDS") or 0.2)  # taskiq's own default
client = AsyncOpenAI(http_client=DefaultAioHttpClient())


@broker.task
async def answer(message: str) -> str:
    completion = await client.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": message}]
    )
    return completion.choices[0].message.content or ""


_is_started = False


async def ask(message: str) -> str:
    global _is_started  # noqa: PLW0603
    if not _is_started:
        await broker.startup()
        _is_started = True
    task = await answer.kiq(message)
    return (await task.wait_result(timeout=30, check_interval=poll_seconds)).return_value
