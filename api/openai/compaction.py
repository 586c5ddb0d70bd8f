"""/v1/responses/compact: a conversation in which a summary takes the place of what the model and its tools wrote.

The model of the request writes the summary, so a conversation can be compacted with any provider.
"""

from typing import Any, Final

from api.openai import examples, response_schemas
from api.openai.blueprint_class import OpenAIBlueprint
from api.openai.encoding import items
from api.openai.encoding.response import usage_object
from api.openai.errors import BadParameter, OpenAIJobFailedError, cancelled_error
from api.openai.item_references import resolve_references
from api.openai.previous_items import PREVIOUS
from api.openai.request_schemas import CompactionBody
from api.openai.response_submission import submit_response
from api.openai.snapshot import JobSnapshot, find_snapshot
from api.openai.submission import track_delivery, wait_for_final_view
from api.schemas.requests import SubmitHeaders
from api.services import services
from jobs.kinds.response import ResponseTask
from jobs.results import JobError
from jobs.states import State
from openai_format.compaction import SUMMARY_REQUEST, compaction_item
from openai_format.items import input_items
from openai_format.tools import ADDITIONAL_TOOLS
from openai_format.types import JsonObject

blueprint = OpenAIBlueprint(
    "compaction", __name__, url_prefix="/responses/compact", description="OpenAI-compatible compaction of conversations"
)

_KEPT_TYPES: Final = frozenset({"message", ADDITIONAL_TOOLS})
_NO_SUMMARY: Final = JobError(
    code="compaction_incomplete", message="the model wrote no complete summary, so the conversation was not compacted"
)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(CompactionBody, examples=examples.COMPACTION_REQUESTS)
@blueprint.response(
    200,
    response_schemas.CompactedResponse,
    description="The compacted conversation.",
    example=examples.COMPACTED,
    headers=examples.PROVIDER_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 429, 502, 503, 504)
def compact_conversation(headers: SubmitHeaders, body: CompactionBody) -> Any:
    """Compact a conversation.

    The model writes a summary of the conversation, and the call waits for it. Send the output as the `input` of the
    next response. Closing the connection cancels the job, unless the request has an Idempotency-Key or the client
    repeats the request.
    """
    submission = submit_response(_task(body), headers)
    record = wait_for_final_view(submission).record
    if record.state is State.CANCELLED:
        raise cancelled_error(record.job_id)
    snapshot = find_snapshot(services().store, record.job_id)
    return track_delivery(submission, _compacted(snapshot), record)


def _task(body: CompactionBody) -> ResponseTask:
    """Raises BadParameter, ItemNotFound and StoreUnavailable."""
    if not (body.input or body.previous_response_id):
        raise BadParameter("input: is required", param="input")
    passthrough = body.passthrough_fields(PREVIOUS)
    new_items = resolve_references(services().store, input_items(body.input))
    return ResponseTask(
        kind="response",
        model=body.model,
        metadata=body.metadata or {},
        body=passthrough | {"input": [*new_items, SUMMARY_REQUEST]},
        store=False,
        previous_response_id=body.previous_response_id,
    )


def _compacted(snapshot: JobSnapshot) -> JsonObject:
    """Raises OpenAIJobFailedError if the summary is empty or was cut: the client would lose what is missing."""
    record, answer = snapshot.record, snapshot.answer
    if record.state is not State.COMPLETED or answer is None or not answer.text.strip():
        raise OpenAIJobFailedError(record.job_id, snapshot.error or _NO_SUMMARY)
    conversation = items.input_items_with_ids(snapshot)[:-1]  # without the request for the summary
    kept = [item for item in conversation if item["type"] in _KEPT_TYPES and item.get("role") != "assistant"]
    return {
        "id": record.job_id,
        "object": "response.compaction",
        "created_at": snapshot.created_at,
        "output": [*kept, compaction_item(answer.text)],
        "usage": usage_object(snapshot),
    }
