"""/v1/completions: OpenAI's older API, which evaluation programs use for the log-probabilities of a prompt."""

from typing import Any

from api.openai import examples, response_schemas
from api.openai.blueprint_class import OpenAIBlueprint
from api.openai.encoding.text_completion import text_completion_object
from api.openai.errors import OpenAIJobFailedError, cancelled_error
from api.openai.held_stream import stream_events
from api.openai.request_schemas import TextCompletionBody
from api.openai.snapshot import find_snapshot, snapshot_of
from api.openai.submission import submit, track_delivery, wait_for_final_view
from api.schemas.requests import SubmitHeaders
from api.services import services
from api.streaming.completions import TextCompletionEncoder
from jobs.kinds.text_completion import TextCompletionTask
from jobs.models import JobView
from jobs.states import State

blueprint = OpenAIBlueprint(
    "text_completions", __name__, url_prefix="/completions", description="OpenAI-compatible text completions"
)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(TextCompletionBody, examples=examples.TEXT_COMPLETION_REQUESTS)
@blueprint.event_stream(
    response_schemas.TextCompletionStreamMessage,
    description="The chunks of the text completion, if `stream` is true.",
    example=examples.TEXT_COMPLETION_STREAM,
)
@blueprint.response(
    200,
    response_schemas.TextCompletion,
    description="The final text completion.",
    example=examples.TEXT_COMPLETION,
    headers=examples.PROVIDER_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 429, 502, 503, 504)
def create_text_completion(headers: SubmitHeaders, body: TextCompletionBody) -> Any:
    """Create a text completion.

    The provider must support `/completions`. The call waits for the completion or streams it. Closing the connection
    cancels the job, unless the request has an Idempotency-Key or the client repeats the request.
    """
    task = TextCompletionTask(
        kind="text_completion",
        model=body.model,
        metadata=body.metadata or {},
        body=body.passthrough_fields(),
        **body.own_stream_options,
    )
    submission = submit(task, "cmpl", headers)
    if body.stream:
        snapshot = snapshot_of(JobView(record=submission.record), task)
        return stream_events(submission, TextCompletionEncoder(snapshot))
    view = wait_for_final_view(submission)
    if view.record.state is State.CANCELLED:
        raise cancelled_error(view.record.job_id)
    return track_delivery(submission, text_completion_object(snapshot_of(view, task)), view.record)


@blueprint.route("/<completion_id>", parameters=[examples.TEXT_COMPLETION_ID])
@blueprint.response(
    200,
    response_schemas.TextCompletion,
    description="The text completion in its current state.",
    example=examples.TEXT_COMPLETION,
)
@blueprint.problems(400, 404, 502, 503)
def show_text_completion(completion_id: str) -> Any:
    """Fetch a text completion.

    The ids of chat completions, responses and native chats are accepted too.
    """
    snapshot = find_snapshot(services().store, completion_id, "completion_id")
    if snapshot.lost_answer:
        raise OpenAIJobFailedError(completion_id, snapshot.lost_answer)
    return text_completion_object(snapshot)
