"""/v1/responses."""

from collections.abc import Callable
from functools import partial
from typing import Any

from api.openai import examples, response_schemas, stream
from api.openai.blueprint import OpenAIBlueprint
from api.openai.delivery import track_delivery
from api.openai.encoding import items
from api.openai.encoding.response import pending_response, response_object
from api.openai.encoding.response_events import ResponseEventBuilder
from api.openai.errors import BadParameter
from api.openai.previous_items import with_previous_items
from api.openai.request_schemas import ItemsQuery, ResponseBody, StreamQuery
from api.openai.snapshot import JobSnapshot, find_record, find_snapshot, snapshot_of
from api.openai.submission import Submission, submit, wait_for_final_view
from api.openai.told import response_with_partial_output
from api.schemas.requests import SubmitHeaders
from api.services import services
from jobs.events import Event
from jobs.kinds.response import ResponseTask
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from jobs.storage import transitions
from openai_format.types import EventObject

blueprint = OpenAIBlueprint("responses", __name__, url_prefix="/responses", description="OpenAI's responses")

_FROM_THE_START = -1


def _event_stream(description: str) -> Callable[..., Any]:
    return blueprint.event_stream(
        response_schemas.ResponseStreamMessage, description=description, example=examples.RESPONSE_STREAM
    )


class ResponseEventEncoder:
    """The events of a response after a number, framed."""

    def __init__(self, snapshot: JobSnapshot, after: int = _FROM_THE_START) -> None:
        self._events = ResponseEventBuilder(snapshot.record.job_id, lambda state: pending_response(snapshot, state))
        self._after = after
        self.is_finished = False

    def start(self) -> bytes:
        return self._encode_events(self._events.start())

    def encode(self, event: Event) -> bytes:
        return self._encode_events(self._events.translate(event))

    def finish(self, final_snapshot: JobSnapshot) -> bytes:
        self.is_finished = True
        return self._encode_events(self._events.finish(response_object(final_snapshot)))

    def fail(self, error: JobError) -> bytes:
        self.is_finished = True
        return self._encode_events(self._events.fail(error))

    def shutdown(self) -> bytes:
        """No event: it would have a number, after which nobody could resume."""
        raise stream.ServerShutdown

    def _encode_events(self, events: list[EventObject]) -> bytes:
        return b"".join(
            stream.frame(event, event["type"]) for event in events if event["sequence_number"] > self._after
        )


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(ResponseBody, examples=examples.RESPONSE_REQUESTS)
@_event_stream("With `stream`: its events.")
@blueprint.response(200, response_schemas.ResponseObject, examples=examples.RESPONSES)
@blueprint.problems(400, 404, 413, 415, 429, 502, 503, 504)
def create_response(headers: SubmitHeaders, body: ResponseBody) -> Any:
    """Create a response.

    In the background: answered at once. Else the client waits, or reads, and its leaving cancels the job.
    """
    task = _task(body)
    submission = submit(task, "resp", headers.key, is_background=task.background, load_history=_history_loader(task))
    snapshot = snapshot_of(JobView(record=submission.record), task)
    if body.stream:
        return stream.stream_events(submission, snapshot, ResponseEventEncoder(snapshot))
    if task.background:
        response = (
            _load_response(snapshot.record.job_id) if snapshot.record.state.is_final else response_object(snapshot)
        )
        return track_delivery(submission, response)
    view = wait_for_final_view(submission)
    return track_delivery(submission, response_with_partial_output(services().store, snapshot_of(view, task)))


@blueprint.route("/<response_id>", parameters=[examples.RESPONSE_ID])
@blueprint.arguments(StreamQuery, location="query")
@_event_stream("With `stream`: its events after a number, live until the end.")
@blueprint.response(200, response_schemas.ResponseObject, examples=examples.RESPONSES)
@blueprint.problems(400, 404, 503)
def show_response(query: StreamQuery, response_id: str) -> Any:
    """A response as it is, or its events. Leaving cancels nothing."""
    snapshot = find_snapshot(services().store, response_id)
    if not query.stream:
        return response_with_partial_output(services().store, snapshot)
    after = _FROM_THE_START if query.starting_after is None else query.starting_after
    return stream.stream_events(Submission(snapshot.record), snapshot, ResponseEventEncoder(snapshot, after))


@blueprint.route("/<response_id>/cancel", methods=["POST"], parameters=[examples.RESPONSE_ID])
@blueprint.response(
    200, response_schemas.ResponseObject, description="Cancelled, or ended before.", example=examples.CANCELLED
)
@blueprint.problems(400, 404, 503)
def cancel_response(response_id: str) -> Any:
    """Cancel a response that runs in the background.

    Needs no body and may be repeated. One that has ended otherwise stays as it is.
    """
    snapshot = find_snapshot(services().store, response_id)
    if isinstance(snapshot.request, ResponseTask) and not snapshot.request.background:
        raise BadParameter(
            "only a response that was created with background=true can be cancelled; to end another, leave it",
            param="response_id",
        )
    _cancel(snapshot.record)
    return _load_response(response_id)


@blueprint.route("/<response_id>", methods=["DELETE"], parameters=[examples.RESPONSE_ID])
@blueprint.response(200, response_schemas.DeletedResponse, example=examples.DELETED)
@blueprint.problems(404, 503)
def delete_response(response_id: str) -> Any:
    """Forget it; one that is queued or runs is cancelled first."""
    store = services().store
    record = find_record(store, response_id)
    _cancel(record)
    store.run(transitions.delete(response_id, record))
    return {"id": response_id, "object": "response.deleted", "deleted": True}


@blueprint.route("/<response_id>/input_items", parameters=[examples.RESPONSE_ID])
@blueprint.arguments(ItemsQuery, location="query")
@blueprint.response(200, response_schemas.InputItems, example=examples.INPUT_ITEMS)
@blueprint.problems(400, 404, 503)
def list_input_items(query: ItemsQuery, response_id: str) -> Any:
    """All that the model was given: what came before in the conversation too."""
    input_items = items.input_items_with_ids(find_snapshot(services().store, response_id))
    if query.order == "desc":
        input_items.reverse()
    return _page(input_items, query)


def _page(input_items: list[dict[str, Any]], query: ItemsQuery) -> dict[str, Any]:
    ids = [item["id"] for item in input_items]
    if query.after is not None and query.after not in ids:
        raise BadParameter("no such item", param="after")
    begin = 0 if query.after is None else ids.index(query.after) + 1
    page = input_items[begin : begin + query.limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": begin + query.limit < len(input_items),
    }


def _task(body: ResponseBody) -> ResponseTask:
    """Without what was said before. Raises BadParameter for what cannot be."""
    passthrough = body.passthrough_fields("background", "store", "previous_response_id")
    background, store, previous = bool(body.background), body.store is not False, body.previous_response_id
    rules = (
        (body.input is not None or "prompt" in passthrough or previous is not None, "input", "is required"),
        (passthrough.get("conversation") is None, "conversation", "is not supported; use previous_response_id"),
        (store or not background, "store", "must not be false with background: the answer is there to be fetched"),
    )
    for is_valid, param, message in rules:
        if not is_valid:
            raise BadParameter(f"{param}: {message}", param=param)
    return ResponseTask(
        kind="response",
        model=body.model,
        metadata=body.metadata or {},
        body=passthrough,
        background=background,
        store=store,
        previous_response_id=previous,
    )


def _history_loader(task: ResponseTask) -> Callable[[], ResponseTask] | None:
    if task.previous_response_id is None:
        return None
    app_services = services()
    return partial(
        with_previous_items, app_services.store, task, task.previous_response_id, app_services.settings.max_body_bytes
    )


def _load_response(response_id: str) -> dict[str, Any]:
    store = services().store
    return response_with_partial_output(store, find_snapshot(store, response_id))


def _cancel(record: JobRecord) -> None:
    if not record.state.is_final:
        services().cancel(record)
