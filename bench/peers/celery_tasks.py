"""Celery with Redis as broker and result backend, everything else at its defaults."""

import os

from celery import Celery
from openai import OpenAI

app = Celery("peer", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
client = OpenAI()


@app.task
def answer(message: str) -> str:
    completion = client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": message}])
    return completion.choices[0].message.content or ""


def ask(message: str) -> str:
    return answer.delay(message).get(timeout=30)
