"""dramatiq with Redis as broker and result backend."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from openai import OpenAI

broker = RedisBroker(url=os.environ["REDIS_URL"])
broker.add_middleware(Results(backend=RedisBackend(url=os.environ["REDIS_URL"]), store_results=True))
dramatiq.set_broker(broker)
client = OpenAI()


@dramatiq.actor
def answer(message: str) -> str:
    completion = client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": message}])
    return completion.choices[0].message.content or ""


def ask(message: str) -> str:
    return answer.send(message).get_result(block=True, timeout=30_000)
