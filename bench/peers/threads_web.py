"""FastAPI with an asyncio.Queue and three threads in the web process. The state of jobs is in Redis."""

import asyncio
import json
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from openai import OpenAI
from pydantic import BaseModel
from redis.asyncio import Redis

THREADS = 3

redis = Redis.from_url(os.environ["REDIS_URL"])
client = OpenAI()
waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
pool = ThreadPoolExecutor(THREADS)


def call_provider(message: str) -> str:
    completion = client.chat.completions.create(model="gpt-5-mini", messages=[{"role": "user", "content": message}])
    return completion.choices[0].message.content or ""


async def run_jobs() -> None:
    """Run one job after the other on a thread."""
    while True:
        job_id, message = await waiting.get()
        await redis.set(f"job:{job_id}", json.dumps({"status": "running", "message": message}))
        answer = await asyncio.get_running_loop().run_in_executor(pool, call_provider, message)
        await redis.set(f"job:{job_id}", json.dumps({"status": "done", "message": message}))
        await redis.set(f"result:{job_id}", answer)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    workers = [asyncio.create_task(run_jobs()) for _ in range(THREADS)]
    yield
    for worker in workers:
        worker.cancel()


app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    message: str


@app.post("/chat", status_code=202)
async def submit(question: Question) -> dict[str, str]:
    job_id = uuid.uuid4().hex
    await redis.set(f"job:{job_id}", json.dumps({"status": "queued", "message": question.message}))
    await waiting.put((job_id, question.message))
    return {"id": job_id}


@app.get("/chat/{job_id}")
async def show(job_id: str) -> dict[str, str | None]:
    job = await redis.get(f"job:{job_id}")
    if job is None:
        raise HTTPException(404)
    answer = await redis.get(f"result:{job_id}")
    return {"status": json.loads(job)["status"], "answer": answer.decode() if isinstance(answer, bytes) else None}


@app.get("/stats")
async def stats() -> dict[str, int]:
    counts: Counter[str] = Counter()
    for key in await redis.keys("job:*"):
        job = await redis.get(key)
        if job is not None:
            counts[json.loads(job)["status"]] += 1
    return dict(counts)


@app.get("/jobs")
async def show_many(ids: str) -> list[str | None]:
    jobs = [await redis.get(f"job:{job_id}") for job_id in ids.split(",")]
    return [json.loads(job)["status"] if job else None for job in jobs]
