"""/v1/chat/completions."""

from typing import Any

from api.openai import examples, response_schemas, stream
from api.openai.blueprint import Blueprint
from api.openai.delivery import delivered
from api.openai.encoding.completion import completion_object
from api.openai.encoding.completion_chunks import CompletionNarration
from api.openai.errors import was_cancelled
from api.openai.request_schemas import CompletionBody
from api.openai.snapshot import find, seen
from api.openai.submission import accept, view_at_end
from api.schemas.requests import SubmitHeaders
from api.services import services
from jobs.models import JobView
from jobs.requests import CompletionTask
from jobs.states import State

blueprint = Blueprint("completions", __name__, url_prefix="/chat/completions", description="OpenAI's chat completions")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(CompletionBody, examples=examples.COMPLETION_REQUESTS)
@blueprint.event_stream(
    response_schemas.CompletionStreamMessage,
    description="With `stream`: its chunks.",
    example=examples.COMPLETION_STREAM,
)
@blueprint.response(200, response_schemas.ChatCompletion, example=examples.COMPLETION)
@blueprint.problems(400, 404, 413, 415, 429, 502, 503, 504)
def create_completion(headers: SubmitHeaders, body: CompletionBody) -> Any:
    """Chat and wait for the answer, or read it as it comes.

    The job is cancelled when the client leaves, unless it sent an Idempotency-Key or sends the request again.
    """
    task = CompletionTask(kind="completion", model=body.model, metadata=body.metadata or {}, body=body.passed_on())
    accepted = accept(task, "chatcmpl", headers.key)
    begin = seen(JobView(record=accepted.record), task)
    if body.stream:
        return stream.stream(accepted, begin, CompletionNarration(begin))
    view = view_at_end(accepted)
    if view.record.state is State.CANCELLED:
        raise was_cancelled(view.record.job_id)
    return delivered(accepted, completion_object(seen(view, task)))


@blueprint.route("/<completion_id>", parameters=[examples.COMPLETION_ID])
@blueprint.response(200, response_schemas.ChatCompletion, example=examples.COMPLETION)
@blueprint.problems(400, 404, 503)
def show_completion(completion_id: str) -> Any:
    """One that was made earlier, by whichever front; as far as it has come."""
    return completion_object(find(services().store, completion_id, "completion_id"))
