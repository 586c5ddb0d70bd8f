"""/v1/responses."""

from collections.abc import Callable
from functools import partial
from typing import Any

from api.openai import examples, response_schemas, stream
from api.openai.blueprint import Blueprint
from api.openai.delivery import delivered
from api.openai.encoding import items
from api.openai.encoding.response import response_object, unanswered
from api.openai.encoding.response_events import EventObject, ResponseEvents
from api.openai.errors import BadParameter
from api.openai.previous_items import continued
from api.openai.request_schemas import ItemsQuery, ResponseBody, StreamQuery
from api.openai.snapshot import Seen, find, find_record, seen
from api.openai.submission import Accepted, accept, view_at_end
from api.openai.told import told_response
from api.schemas.requests import SubmitHeaders
from api.services import services
from jobs.events import Event
from jobs.models import JobRecord, JobView
from jobs.requests import ResponseTask
from jobs.results import JobError
from jobs.storage import transitions

blueprint = Blueprint("responses", __name__, url_prefix="/responses", description="OpenAI's responses")

_FROM_THE_START = -1


def _event_stream(description: str) -> Callable[..., Any]:
    return blueprint.event_stream(
        response_schemas.ResponseStreamMessage, description=description, example=examples.RESPONSE_STREAM
    )


class ResponseNarration:
    """The events of a response after a number, framed."""

    def __init__(self, begin: Seen, after: int = _FROM_THE_START) -> None:
        self._events = ResponseEvents(begin.record.job_id, lambda state: unanswered(begin, state))
        self._after = after
        self.is_over = False

    def opening(self) -> bytes:
        return self._framed(self._events.opening())

    def tell(self, event: Event) -> bytes:
        return self._framed(self._events.translate(event))

    def ending(self, at_end: Seen) -> bytes:
        self.is_over = True
        return self._framed(self._events.ending(response_object(at_end)))

    def broken_off(self, error: JobError) -> bytes:
        self.is_over = True
        return self._framed(self._events.broken_off(error))

    def stopped(self) -> bytes:
        """No event: it would have a number, after which nobody could resume."""
        raise stream.ServerStops

    def _framed(self, events: list[EventObject]) -> bytes:
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
    accepted = accept(task, "resp", headers.key, goes_on=task.background, complete=_completer(task))
    begin = seen(JobView(record=accepted.record), task)
    if body.stream:
        return stream.stream(accepted, begin, ResponseNarration(begin))
    if task.background:
        shown = _shown(begin.record.job_id) if begin.record.state.is_final else response_object(begin)
        return delivered(accepted, shown)
    view = view_at_end(accepted)
    return delivered(accepted, told_response(services().store, seen(view, task)))


@blueprint.route("/<response_id>", parameters=[examples.RESPONSE_ID])
@blueprint.arguments(StreamQuery, location="query")
@_event_stream("With `stream`: its events after a number, live until the end.")
@blueprint.response(200, response_schemas.ResponseObject, examples=examples.RESPONSES)
@blueprint.problems(400, 404, 503)
def show_response(query: StreamQuery, response_id: str) -> Any:
    """A response as it is, or its events. Leaving cancels nothing."""
    found = find(services().store, response_id)
    if not query.stream:
        return told_response(services().store, found)
    after = _FROM_THE_START if query.starting_after is None else query.starting_after
    return stream.stream(Accepted(found.record), found, ResponseNarration(found, after))


@blueprint.route("/<response_id>/cancel", methods=["POST"], parameters=[examples.RESPONSE_ID])
@blueprint.response(
    200, response_schemas.ResponseObject, description="Cancelled, or ended before.", example=examples.CANCELLED
)
@blueprint.problems(400, 404, 503)
def cancel_response(response_id: str) -> Any:
    """Cancel a response that runs in the background.

    Needs no body and may be repeated. One that has ended otherwise stays as it is.
    """
    found = find(services().store, response_id)
    if isinstance(found.request, ResponseTask) and not found.request.background:
        raise BadParameter(
            "only a response that was created with background=true can be cancelled; to end another, leave it",
            param="response_id",
        )
    _cancel(found.record)
    return _shown(response_id)


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
    listed = items.listed(find(services().store, response_id))
    if query.order == "desc":
        listed.reverse()
    return _page(listed, query)


def _page(listed: list[dict[str, Any]], query: ItemsQuery) -> dict[str, Any]:
    ids = [item["id"] for item in listed]
    if query.after is not None and query.after not in ids:
        raise BadParameter("no such item", param="after")
    begin = 0 if query.after is None else ids.index(query.after) + 1
    shown = listed[begin : begin + query.limit]
    return {
        "object": "list",
        "data": shown,
        "first_id": shown[0]["id"] if shown else None,
        "last_id": shown[-1]["id"] if shown else None,
        "has_more": begin + query.limit < len(listed),
    }


def _task(body: ResponseBody) -> ResponseTask:
    """Without what was said before. Raises BadParameter for what cannot be."""
    said = body.passed_on("background", "store", "previous_response_id")
    background, store, previous = bool(body.background), body.store is not False, body.previous_response_id
    rules = (
        (body.input is not None or "prompt" in said or previous is not None, "input", "is required"),
        (said.get("conversation") is None, "conversation", "is not supported; use previous_response_id"),
        (store or not background, "store", "must not be false with background: the answer is there to be fetched"),
    )
    for holds, param, message in rules:
        if not holds:
            raise BadParameter(f"{param}: {message}", param=param)
    return ResponseTask(
        kind="response",
        model=body.model,
        metadata=body.metadata or {},
        body=said,
        background=background,
        store=store,
        previous_response_id=previous,
    )


def _completer(task: ResponseTask) -> Callable[[], ResponseTask] | None:
    if task.previous_response_id is None:
        return None
    here = services()
    return partial(continued, here.store, task, task.previous_response_id, here.settings.max_body_bytes)


def _shown(response_id: str) -> dict[str, Any]:
    store = services().store
    return told_response(store, find(store, response_id))


def _cancel(record: JobRecord) -> None:
    if not record.state.is_final:
        services().cancel(record)
