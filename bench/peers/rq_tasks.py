"""RQ: a plain function, enqueued by reference."""

import os

from openai import OpenAI
from redis import Redis
from rq import Queue

queue = Queue(connection=Redis.from_url(os.environ["REDIS_URL"]))
client = OpenAI()


def answer(message: str) -> str:
    completion = client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": message}])
    return completion.choices[0].message.content or ""


def ask(message: str) -> str:
    return queue.enqueue(answer, message).latest_result(timeout=30).return_value
