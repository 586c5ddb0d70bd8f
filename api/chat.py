"""Chat over HTTP: wait for the answer, fetch it later, or stream it."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from flask import Response, url_for

from api.document_checks import check_documents
from api.http.long_poll import Poll, view_when_final
from api.http.problems import JobFailedError
from api.http.pydantic_smorest import Blueprint
from api.http.stream_tokens import StreamTokens
from api.schemas import access_examples, examples
from api.schemas.access import StreamToken, TokenBody
from api.schemas.requests import AsyncChat, ChatQuery, EventsHeaders, EventsQuery, PollHeaders, SubmitHeaders, SyncChat
from api.schemas.responses import ChatJob, StreamMessage, accepted_headers, replayed_header
from api.services import services
from api.streaming.engine import FROM_THE_START, JobStream
from api.streaming.native import NativeEncoder
from jobs import lookup
from jobs.errors import JobNotFound, StoreUnavailable
from jobs.kinds import CONVERSATION_KINDS
from jobs.kinds.chat import ChatRequest, ChatTask
from jobs.models import JobRecord, JobView
from jobs.states import State
from jobs.storage.transitions import Created

blueprint = Blueprint("chat", __name__, url_prefix="/chat", description="Chat with a model")

_FIELDS: Final = frozenset(ChatRequest.model_fields)
ACCEPTED_HEADERS: Final = examples.headers("Location", "Retry-After", "Idempotency-Replayed")


def _event_stream(description: str) -> Callable[..., Any]:
    return blueprint.event_stream(StreamMessage, description=description, example=examples.STREAM)


@blueprint.route("/sync", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(SyncChat, examples=examples.CHAT_REQUESTS)
@_event_stream("If `stream` is true: the job's events until it is final.")
@blueprint.response(200, ChatJob, description="The job is final.", examples=examples.FINAL_CHATS)
@blueprint.alt_response(
    202,
    schema=ChatJob,
    description="The job is not final within the server's time limit. It continues; fetch it from `Location`.",
    example=examples.QUEUED_CHAT,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 422, 429, 501, 502, 503)
def answer_chat(headers: SubmitHeaders, body: SyncChat) -> Any:
    """Chat and wait for the answer.

    The call goes through the same queue as every other call. If the job fails, the response is 502 with the job's error
    code, or 422 if its documents cannot be used. Closing the connection before the end cancels the job, unless
    `on_disconnect` is `continue`.
    """
    created = _submit(body, headers)
    on_disconnect = _cancel_callback(created) if body.cancels_on_disconnect(headers) else None
    if body.stream:
        return _stream_response(created, on_disconnect)
    view = view_when_final(created.job_id, services().settings.sync_wait_seconds, on_disconnect, known=created.record)
    if view.record.state is not State.CANCELLED and view.error is not None:
        raise JobFailedError(created.job_id, view.error)
    if not view.record.is_final:
        return _accepted_response(view, created)
    return ChatJob.of(view), 200, replayed_header(created)


@blueprint.route("/async", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(AsyncChat, examples=examples.CHAT_REQUESTS)
@_event_stream("If `stream` is true: the job's events until it is final. A stream that was cut can be resumed.")
@blueprint.response(
    202,
    ChatJob,
    description="Accepted for processing.",
    example=examples.QUEUED_CHAT,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 422, 429, 501, 503)
def accept_chat(headers: SubmitHeaders, body: AsyncChat) -> Any:
    """Submit a chat and fetch the answer later.

    The call returns as soon as the job is stored. Fetch the answer from the URL in `Location`, or stream its events.
    """
    created = _submit(body, headers)
    if body.stream:
        return _stream_response(created, _cancel_callback(created) if body.on_disconnect == "cancel" else None)
    view = JobView(record=created.record) if created.record else lookup.view(services().store, created.job_id)
    return _accepted_response(view, created)


@blueprint.route("/jobs/<job_id>", parameters=[examples.JOB_ID])
@blueprint.arguments(ChatQuery, location="query")
@blueprint.arguments(PollHeaders, location="headers")
@blueprint.response(
    200,
    ChatJob,
    description="The job is final.",
    examples=examples.FINAL_CHATS,
    headers=examples.headers("ETag", "Preference-Applied"),
)
@blueprint.alt_response(
    202,
    schema=ChatJob,
    description="The job is not final yet.",
    example=examples.QUEUED_CHAT,
    headers=examples.headers("ETag", "Retry-After", "Preference-Applied"),
)
@blueprint.alt_response(304, description="Not modified: the ETag still matches.")
@blueprint.problems(404, 422, 503)
def show_chat(query: ChatQuery, headers: PollHeaders, job_id: str) -> Any:
    """Fetch a chat's answer, or wait for it.

    With `wait`, the call returns once the job is final or the time is up.
    """
    poll = Poll.of(query, headers)
    view = view_when_final(job_id, poll.wait_seconds)
    _check_kind(view.record)
    return poll.respond(view.record, lambda: ChatJob.of(view))


@blueprint.route("/jobs/<job_id>/events", parameters=[examples.JOB_ID])
@blueprint.arguments(EventsQuery, location="query")
@blueprint.arguments(EventsHeaders, location="headers")
@_event_stream("The job's events after the given number, or from the first one, until the job is final.")
@blueprint.alt_response(
    204, description="The client has already received the last event. An EventSource then stops reconnecting."
)
@blueprint.problems(404, 422, 503)
def follow_chat(query: EventsQuery, headers: EventsHeaders, job_id: str) -> Response:
    """Stream a chat's events.

    Any number of clients can stream the same job, while it runs and afterwards, from any event on. Closing the
    connection does not cancel the job. Once the events have expired, which happens before the answer expires, the whole
    text is sent as one event.
    """
    record = lookup.record(services().store, job_id)
    _check_kind(record)
    last_seen = headers.last_event_id or query.starting_after
    stream = JobStream(record, NativeEncoder(), after=FROM_THE_START if last_seen is None else int(last_seen))
    if not stream.first_events() and record.is_final:
        return Response(status=HTTPStatus.NO_CONTENT)
    return stream.respond()


@blueprint.route("/jobs/<job_id>/token", methods=["POST"], parameters=[examples.JOB_ID])
@blueprint.arguments(TokenBody, examples=access_examples.TOKENS)
@blueprint.response(201, StreamToken, description="The token.", example=access_examples.TOKEN)
@blueprint.problems(400, 404, 413, 415, 422, 429, 503)
def create_stream_token(body: TokenBody, job_id: str) -> Any:
    """Create a token with which a browser follows this job.

    An EventSource cannot send an API key. The token is valid for this job only, and only to fetch it and to stream its
    events. It ends with the API key that it was made with.
    """
    app_services = services()
    _check_kind(lookup.record(app_services.store, job_id))
    seconds = body.ttl_seconds or app_services.settings.stream_token_seconds
    token = StreamTokens.of(app_services.settings).make(app_services.caller, job_id, seconds)
    return StreamToken(token=token, expires_at=datetime.fromtimestamp(int(time.time() + seconds), UTC))


def _submit(body: ChatRequest, headers: SubmitHeaders) -> Created:
    check_documents(body)
    given = body.model_fields_set & _FIELDS | {"kind"}
    task = ChatTask.model_construct(given, kind="chat", **{name: getattr(body, name) for name in _FIELDS})  # is valid
    return services().submit(task, idempotency_key=headers.key, lane=headers.priority, fair_key=headers.fair_key)


def _stream_response(created: Created, on_disconnect: Callable[[], None] | None) -> Response:
    record = created.record or lookup.record(services().store, created.job_id)
    response_headers = {"Location": url_for("chat.show_chat", job_id=created.job_id), **replayed_header(created)}
    stream = JobStream(record, NativeEncoder(), on_disconnect=on_disconnect)
    stream.first_events()  # an error here still gets its own HTTP status
    return stream.respond(response_headers)


def _cancel_callback(created: Created) -> Callable[[], None] | None:
    """A callback that cancels the job. None for a job that an earlier request with the same key created."""
    if created.record is None:
        return None
    app_services, record = services(), created.record

    def cancel() -> None:
        with suppress(StoreUnavailable):
            app_services.cancel(record)

    return cancel


def _check_kind(record: JobRecord) -> None:
    if record.kind not in CONVERSATION_KINDS:
        raise JobNotFound("this job is not a chat; see /api/v1/tasks", param="job_id")


def _accepted_response(view: JobView, created: Created) -> Any:
    return ChatJob.of(view), 202, accepted_headers(url_for("chat.show_chat", job_id=created.job_id), created)
