"""FastAPI in front of arq."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arq import create_pool
from arq.connections import RedisSettings
from arq.jobs import Job, JobStatus
from fastapi import FastAPI
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.redis = await create_pool(RedisSettings.from_dsn(os.environ["REDIS_URL"]))
    yield
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    message: str


@app.post("/chat", status_code=202)
async def submit(question: Question) -> dict[str, str]:
    job = await app.state.redis.enqueue_job("answer", question.message)
    return {"id": job.job_id}


@app.get("/chat/{job_id}")
async def show(job_id: str) -> dict[str, str | None]:
    job = Job(job_id, app.state.redis)
    status = await job.status()
    return {"status": status, "answer": await job.result() if status is JobStatus.complete else None}
