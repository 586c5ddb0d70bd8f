"""Chat over HTTP: wait for the answer, or fetch it later."""

import time
from typing import Any

from flask import Response, request, url_for

from api import examples
from api.answers import ChatJob, accepted_headers, replayed_header, retry_after_seconds
from api.problems import JobFailed
from api.pydantic_smorest import Blueprint
from api.services import services
from api.shapes import PollHeaders, SubmitHeaders, WaitQuery
from api.waiting import view_when_final
from jobs import reading
from jobs.errors import JobNotFound
from jobs.models import ChatRequest, ChatTask, JobRecord, JobView
from jobs.states import State
from jobs.verbs import Created

blueprint = Blueprint("chat", __name__, url_prefix="/chat", description="Chat calls")

ACCEPTED_HEADERS = examples.headers("Location", "Retry-After", "Idempotency-Replayed")


@blueprint.route("/sync", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(ChatRequest, examples=examples.CHAT_REQUESTS)
@blueprint.response(200, ChatJob, description="The job is final.", examples=examples.FINAL_CHATS)
@blueprint.alt_response(
    202,
    schema=ChatJob,
    description="Not final within the server's limit: it goes on, fetch it at Location.",
    example=examples.QUEUED_CHAT,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 413, 415, 422, 429, 502, 503)
def answer_chat(headers: SubmitHeaders, body: ChatRequest) -> Any:
    """Chat and wait for the answer.

    The call goes through the same queue as any other. A job that fails is answered 502 with its own code.
    """
    created = _submit(body, headers)
    view = view_when_final(created.job_id, services().settings.sync_wait_seconds)
    if view.record.state is State.FAILED and view.error is not None:
        raise JobFailed(created.job_id, view.error)
    if not view.record.state.is_final:
        return _accepted(view, created)
    return ChatJob.of(view), 200, replayed_header(created)


@blueprint.route("/async", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(ChatRequest, examples=examples.CHAT_REQUESTS)
@blueprint.response(
    202,
    ChatJob,
    description="Accepted: it will be seen through.",
    example=examples.QUEUED_CHAT,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 413, 415, 422, 429, 503)
def accept_chat(headers: SubmitHeaders, body: ChatRequest) -> Any:
    """Chat and fetch the answer later."""
    created = _submit(body, headers)
    return _accepted(reading.view(services().store, created.job_id), created)


@blueprint.route("/jobs/<job_id>", parameters=[examples.JOB_ID])
@blueprint.arguments(WaitQuery, location="query")
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
    description="Not final yet.",
    example=examples.QUEUED_CHAT,
    headers=examples.headers("ETag", "Retry-After", "Preference-Applied"),
)
@blueprint.alt_response(304, description="As the ETag says.")
@blueprint.problems(404, 422, 503)
def show_chat(query: WaitQuery, headers: PollHeaders, job_id: str) -> Any:
    """Fetch the answer, or wait for it."""
    preferred = headers.wait_seconds if query.wait is None else None
    view = view_when_final(job_id, query.wait or preferred or 0)
    if view.record.kind != "chat":
        raise JobNotFound("this job is no chat call; see /api/v1/tasks", param="job_id")
    sent = {"ETag": _etag(view.record)}
    if preferred is not None:
        sent["Preference-Applied"] = f"wait={preferred}"
    if not view.record.state.is_final:
        sent["Retry-After"] = str(retry_after_seconds(view.record, time.time()))
    if request.if_none_match.contains_raw(sent["ETag"]):
        return Response(status=304, headers=sent)
    return ChatJob.of(view), 200 if view.record.state.is_final else 202, sent


def _submit(body: ChatRequest, headers: SubmitHeaders) -> Created:
    task = ChatTask.model_construct(kind="chat", **dict(body))  # validated already
    return services().submitter.submit(task, idempotency_key=headers.key)


def _accepted(view: JobView, created: Created) -> Any:
    return ChatJob.of(view), 202, accepted_headers(url_for("chat.show_chat", job_id=created.job_id), created)


def _etag(record: JobRecord) -> str:
    """Weak: the record's version, and for a job in line its place, which changes without a write to the record."""
    place = "" if record.queue_position is None else f"-{record.queue_position}"
    return f'W/"{record.version}{place}"'
