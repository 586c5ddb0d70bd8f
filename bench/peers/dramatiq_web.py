"""FastAPI in front of dramatiq."""

from dramatiq.results import ResultMissing
from fastapi import FastAPI
from pydantic import BaseModel

from bench.peers.dramatiq_tasks import answer

app = FastAPI()


class Question(BaseModel):
    message: str


@app.post("/chat", status_code=202)
def submit(question: Question) -> dict[str, str]:
    return {"id": answer.send(question.message).message_id}


@app.get("/chat/{message_id}")
def show(message_id: str) -> dict[str, str | None]:
    message = answer.message("").copy(message_id=message_id)
    try:
        return {"status": "done", "answer": message.get_result()}
    except ResultMissing:
        return {"status": "pending", "answer": None}
