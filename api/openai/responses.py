"""/v1/responses."""

from collections.abc import Callable
from functools import partial
from typing import Any

from api.http.absence import confirmed_not_found
from api.openai import examples, response_schemas
from api.openai.blueprint_class import OpenAIBlueprint
from api.openai.document_questions import response_about_documents
from api.openai.encoding import items
from api.openai.encoding.response import response_object
from api.openai.encoding.response_events import STATES_WITHOUT_ANSWER, ResponseEventBuilder
from api.openai.errors import BadParameter
from api.openai.held_stream import stream_events
from api.openai.item_references import remember_items, resolve_references
from api.openai.previous_items import PREVIOUS
from api.openai.request_schemas import ItemsQuery, ResponseBody, StreamQuery
from api.openai.response_submission import submit_response
from api.openai.snapshot import (
    JobSnapshot,
    find_record,
    find_snapshot,
    find_snapshot_to_show,
    snapshot_of,
    without_request,
)
from api.openai.submission import Submission, submit, track_delivery, wait_for_final_view
from api.schemas.requests import SubmitHeaders
from api.services import services
from api.streaming.responses import ResponseEncoder
from jobs import queries
from jobs.errors import RequestUnreadable
from jobs.events import read_events
from jobs.kinds.base import Conversation
from jobs.kinds.response import ResponseTask
from jobs.models import JobRecord, JobView

blueprint = OpenAIBlueprint("responses", __name__, url_prefix="/responses", description="OpenAI-compatible responses")


def _event_stream(description: str) -> Callable[..., Any]:
    return blueprint.event_stream(
        response_schemas.ResponseStreamMessage, description=description, example=examples.RESPONSE_STREAM
    )


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(ResponseBody, examples=examples.RESPONSE_REQUESTS)
@_event_stream("The response's events, if `stream` is true.")
@blueprint.response(
    200,
    response_schemas.ResponseObject,
    description="The final response, or the queued one if `background` is true.",
    examples=examples.RESPONSES,
    headers=examples.PROVIDER_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 429, 501, 502, 503, 504)
def create_response(headers: SubmitHeaders, body: ResponseBody) -> Any:
    """Create a response.

    With `background`, the call returns immediately. Otherwise it waits for the response or streams it. Closing the
    connection then cancels the job, unless the request has an Idempotency-Key or the client repeats the request.

    With `documents` (`all`, or a list of ids), the answer is based on these documents and cites them in `annotations`.
    """
    task: Conversation
    if about_documents := response_about_documents(body):
        task, submission = (
            about_documents,
            submit(about_documents, "resp", headers, is_background=bool(body.background)),
        )
    else:
        task = own_task = _task(body)
        submission = submit_response(own_task, headers)
    snapshot = snapshot_of(JobView(record=submission.record), task)
    if body.stream:
        return _stream(submission, ResponseEncoder(snapshot))
    if body.background:
        is_final = snapshot.record.is_final
        return track_delivery(
            submission, _load_response(snapshot.record.job_id) if is_final else response_object(snapshot)
        )
    view = wait_for_final_view(submission)
    response = _response_with_partial_output(snapshot_of(view, task))
    remember_items(services(), response)
    return track_delivery(submission, response, view.record)


@blueprint.route("/<id:response_id>", parameters=[examples.RESPONSE_ID])
@blueprint.arguments(StreamQuery, location="query")
@_event_stream("If `stream` is true: the events after `starting_after`, live until the response is final.")
@blueprint.response(
    200, response_schemas.ResponseObject, description="The response in its current state.", examples=examples.RESPONSES
)
@blueprint.problems(400, 404, 503)
def show_response(query: StreamQuery, response_id: str) -> Any:
    """Fetch a response, or stream its events.

    Closing the connection does not cancel the response.
    """
    store = services().store
    if query.stream:
        snapshot = find_snapshot(store, response_id)
        return _stream(Submission(snapshot.record), ResponseEncoder(snapshot, query.starting_after))
    response = _response_with_partial_output(find_snapshot_to_show(store, response_id))
    remember_items(services(), response)
    return response


@blueprint.route("/<id:response_id>/cancel", methods=["POST"], parameters=[examples.RESPONSE_ID])
@blueprint.response(
    200,
    response_schemas.ResponseObject,
    description="The response, now cancelled, or unchanged if it was already final.",
    example=examples.CANCELLED,
)
@blueprint.problems(400, 404, 503)
@confirmed_not_found()
def cancel_response(response_id: str) -> Any:
    """Cancel a background response.

    Needs no body and may be repeated. A response that is already final does not change.
    """
    store = services().store
    try:
        snapshot = find_snapshot(store, response_id)
    except RequestUnreadable:  # a cancel needs no request
        _cancel(find_record(store, response_id))
        return _response_with_partial_output(without_request(find_record(store, response_id)))
    if isinstance(snapshot.request, ResponseTask) and not snapshot.request.background:
        raise BadParameter(
            "only a response created with background=true can be cancelled; "
            "to cancel another one, close the connection of its call",
            param="response_id",
        )
    _cancel(snapshot.record)
    return _load_response(response_id)


@blueprint.route("/<id:response_id>", methods=["DELETE"], parameters=[examples.RESPONSE_ID])
@blueprint.response(
    200, response_schemas.DeletedResponse, description="The response was deleted.", example=examples.DELETED
)
@blueprint.problems(404, 503)
@confirmed_not_found()
def delete_response(response_id: str) -> Any:
    """Delete a response.

    A response that is queued or in progress is cancelled first.
    """
    store = services().store
    record = find_record(store, response_id)
    _cancel(record)
    store.delete(record)
    return {"id": response_id, "object": "response.deleted", "deleted": True}


@blueprint.route("/<id:response_id>/input_items", parameters=[examples.RESPONSE_ID])
@blueprint.arguments(ItemsQuery, location="query")
@blueprint.response(200, response_schemas.InputItems, description="One page of items.", example=examples.INPUT_ITEMS)
@blueprint.problems(400, 404, 503)
def list_input_items(query: ItemsQuery, response_id: str) -> Any:
    """List the input items of a response.

    The list includes the earlier items of the conversation.
    """
    input_items = items.input_items_with_ids(find_snapshot(services().store, response_id))
    if query.order == "desc":
        input_items.reverse()
    return _page(input_items, query)


def _stream(submission: Submission, encoder: ResponseEncoder) -> Any:
    app_services = services()

    def on_end() -> None:
        if encoder.final_response is not None:
            remember_items(app_services, encoder.final_response)

    return stream_events(submission, encoder, app_services.settings.response_hold_seconds, on_end)


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
    """The task without the earlier items of its conversation.

    Raises BadParameter for an invalid combination, ItemNotFound and StoreUnavailable.
    """
    passthrough = body.passthrough_fields("background", "store", PREVIOUS)
    if "input" in passthrough:
        given = resolve_references(services().store, passthrough["input"])
        is_list = isinstance(given, list)
        passthrough["input"] = [items.without_file_citations(item) for item in given] if is_list else given
    background, store, previous = bool(body.background), body.store is not False, body.previous_response_id
    rules = (
        (body.input not in (None, []) or "prompt" in passthrough or previous is not None, "input", "is required"),
        (passthrough.get("conversation") is None, "conversation", f"is not supported; use {PREVIOUS}"),
        (store or not background, "store", "must not be false with background: the response is fetched later"),
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
        **body.own_stream_options,
    )


def _load_response(response_id: str) -> dict[str, Any]:
    return _response_with_partial_output(find_snapshot(services().store, response_id))


def _response_with_partial_output(snapshot: JobSnapshot) -> dict[str, Any]:
    """The response object. A failed or cancelled one has the finished items and partial text of its last attempt.

    These are only in the event log, which is read only in that case. An expired log adds nothing.
    """
    response, record = response_object(snapshot), snapshot.record
    if record.state in STATES_WITHOUT_ANSWER:
        begin = max(0, record.log_start - 1)  # the number of the event that begins the last attempt
        _, values = services().store.read_job(
            record.job_id, partial(queries.events, first=begin, limit=record.log_length or 0)
        )
        events = ResponseEventBuilder(record.job_id, lambda _: {})
        for event in read_events(values[0] if values else (), begin):
            events.translate(event)
        response["output"] = events.output() or response["output"]
    return response


def _cancel(record: JobRecord) -> None:
    """Also of a final job: an earlier cancel may not have been safe."""
    services().cancel(record)
