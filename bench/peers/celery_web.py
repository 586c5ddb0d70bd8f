"""Flask in front of Celery."""

import os

from celery import Celery
from celery.result import AsyncResult
from flask import Flask, request
from flask.typing import ResponseReturnValue

celery = Celery("peer", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app = Flask(__name__)


@app.post("/chat")
def submit() -> ResponseReturnValue:
    task = celery.send_task("bench.peers.celery_tasks.answer", (request.get_json()["message"],))
    return {"id": task.id}, 202


@app.get("/chat/<task_id>")
def show(task_id: str) -> ResponseReturnValue:
    result = AsyncResult(task_id, app=celery)
    return {"status": result.status, "answer": result.result if result.successful() else None}
