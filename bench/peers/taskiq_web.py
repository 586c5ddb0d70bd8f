"""FastAPI in front of taskiq."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from pydantic import BaseModel

from bench.peers.taskiq_tasks import answer, broker


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await broker.startup()
    yield
    await broker.shutdown()


app = FastAPI(lifespan=lifespan)


class Question(BaseModel):
    message: str


@app.post("/chat", status_code=202)
async def submit(question: Question) -> dict[str, str]:
    task = await answer.kiq(question.message)
    return {"id": task.task_id}


@app.get("/chat/{task_id}")
async def show(task_id: str) -> dict[str, str | None]:
    if not await broker.result_backend.is_result_ready(task_id):
        return {"status": "pending", "answer": None}
    result = await broker.result_backend.get_result(task_id)
    return {"status": "error" if result.is_err else "done", "answer": result.return_value}
