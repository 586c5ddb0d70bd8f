"""/v1/chat/completions."""

from typing import Any

from api.openai import examples, response_schemas
from api.openai.blueprint_class import OpenAIBlueprint
from api.openai.document_questions import completion_about_documents
from api.openai.encoding.completion import completion_object
from api.openai.errors import OpenAIJobFailedError, cancelled_error
from api.openai.held_stream import stream_events
from api.openai.request_schemas import CompletionBody
from api.openai.snapshot import find_snapshot_to_show, snapshot_of
from api.openai.submission import submit, track_delivery, wait_for_final_view
from api.schemas.requests import SubmitHeaders
from api.services import services
from api.streaming.completions import CompletionEncoder
from jobs.kinds.completion import CompletionTask
from jobs.models import JobView
from jobs.states import State

blueprint = OpenAIBlueprint(
    "completions", __name__, url_prefix="/chat/completions", description="OpenAI-compatible chat completions"
)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(CompletionBody, examples=examples.COMPLETION_REQUESTS)
@blueprint.event_stream(
    response_schemas.CompletionStreamMessage,
    description="The chunks of the chat completion, if `stream` is true.",
    example=examples.COMPLETION_STREAM,
)
@blueprint.response(
    200,
    response_schemas.ChatCompletion,
    description="The final chat completion.",
    example=examples.COMPLETION,
    headers=examples.PROVIDER_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 429, 501, 502, 503, 504)
def create_completion(headers: SubmitHeaders, body: CompletionBody) -> Any:
    """Create a chat completion.

    The call waits for the chat completion or streams it. Closing the connection cancels the job, unless the request has
    an Idempotency-Key or the client repeats the request.

    With `documents` (`all`, or a list of ids), the answer is based on these documents and cites them in `annotations`.
    """
    task = completion_about_documents(body) or CompletionTask(
        kind="completion",
        model=body.model,
        metadata=body.metadata or {},
        body=body.passthrough_fields(),
        **body.own_stream_options,
    )
    submission = submit(task, "chatcmpl", headers)
    snapshot = snapshot_of(JobView(record=submission.record), task)
    if body.stream:
        return stream_events(submission, CompletionEncoder(snapshot))
    view = wait_for_final_view(submission)
    if view.record.state is State.CANCELLED:
        raise cancelled_error(view.record.job_id)
    return track_delivery(submission, completion_object(snapshot_of(view, task)), view.record)


@blueprint.route("/<completion_id>", parameters=[examples.COMPLETION_ID])
@blueprint.response(
    200,
    response_schemas.ChatCompletion,
    description="The chat completion in its current state.",
    example=examples.COMPLETION,
)
@blueprint.problems(400, 404, 502, 503)
def show_completion(completion_id: str) -> Any:
    """Fetch a chat completion.

    The ids of responses and native chats are accepted too.
    """
    snapshot = find_snapshot_to_show(services().store, completion_id, "completion_id")
    if snapshot.lost_answer:
        raise OpenAIJobFailedError(completion_id, snapshot.lost_answer)
    return completion_object(snapshot)
