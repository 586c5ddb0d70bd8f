"""FastAPI in front of RQ."""

import os

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job

redis = Redis.from_url(os.environ["REDIS_URL"])
queue = Queue(connection=redis)
app = FastAPI()


class Question(BaseModel):
    message: str


@app.post("/chat", status_code=202)
def submit(question: Question) -> dict[str, str]:
    return {"id": queue.enqueue("bench.peers.rq_tasks.answer", question.message).id}


@app.get("/chat/{job_id}")
def show(job_id: str) -> dict[str, str | None]:
    try:
        job = Job.fetch(job_id, connection=redis)
    except NoSuchJobError:
        raise HTTPException(404) from None
    return {"status": job.get_status(), "answer": job.return_value()}
