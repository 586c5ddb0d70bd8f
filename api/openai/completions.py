"""/v1/chat/completions."""

from typing import Any

from flask import Blueprint

from api.openai import streams
from api.openai.bodies import read_body
from api.openai.completion_events import CompletionNarration
from api.openai.completion_object import completion_object
from api.openai.delivery import delivered
from api.openai.refusals import was_cancelled
from api.openai.seen import find, seen
from api.openai.shapes import CompletionBody
from api.openai.submitting import accept, view_at_end
from api.services import services
from jobs.models import JobView
from jobs.requests import CompletionTask
from jobs.states import State

blueprint = Blueprint("completions", __name__, url_prefix="/chat/completions")


@blueprint.post("")
def create_completion() -> Any:
    """Chat and wait for the answer, or read it as it comes. The job is cancelled when the client leaves."""
    body = read_body(CompletionBody)
    task = CompletionTask(kind="completion", model=body.model, metadata=body.metadata or {}, body=body.passed_on())
    accepted = accept(task, "chatcmpl")
    begin = seen(JobView(record=accepted.record), task)
    if body.stream:
        return streams.stream(accepted, begin, CompletionNarration(begin))
    view = view_at_end(accepted)
    if view.record.state is State.CANCELLED:
        raise was_cancelled(view.record.job_id)
    return delivered(accepted, completion_object(seen(view, task)))


@blueprint.get("/<completion_id>")
def show_completion(completion_id: str) -> Any:
    """One that was made earlier, by whichever front; as far as it has come."""
    return completion_object(find(services().store, completion_id, "completion_id"))
