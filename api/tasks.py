"""Tasks over HTTP: jobs of every kind, singly or in bulk."""

from http import HTTPStatus
from typing import Any

from flask import Response, url_for
from werkzeug.routing import BaseConverter

from api.document_checks import check_documents
from api.http.absence import confirmed_not_found
from api.http.long_poll import Poll, details_when_final, view_when_final
from api.http.pydantic_smorest import Blueprint
from api.http.validation import InvalidFields
from api.schemas import examples
from api.schemas.requests import MAX_IDS, PollHeaders, RetryFilter, SubmitHeaders, TaskBody, TasksQuery, WaitQuery
from api.schemas.responses import accepted_headers
from api.schemas.tasks import RetriedTask, RetryReport, Task, TaskDetails, TaskList, TaskResult
from api.services import CallerServices, services
from jobs import lookup
from jobs.errors import JobNotFound, ModelNotFound, RequestUnreadable, UnsupportedFeature
from jobs.kinds.chat import ChatTask
from jobs.models import JobRecord
from jobs.states import State
from jobs.storage.transitions import Created


class IdConverter(BaseConverter):
    """One segment of a path that is not the name of an operation on several tasks, or on no response."""

    regex = r"(?!(?:retry|compact)(?:/|$))[^/]+"


blueprint = Blueprint("tasks", __name__, url_prefix="/tasks", description="Tasks of every kind")

ACCEPTED_HEADERS = examples.headers("Location", "Retry-After", "Idempotency-Replayed")


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SubmitHeaders, location="headers")
@blueprint.arguments(TaskBody, examples=examples.TASK_REQUESTS)
@blueprint.response(
    202,
    Task,
    description="Accepted for processing.",
    example=examples.QUEUED_TASK,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 404, 413, 415, 422, 429, 501, 503)
def accept_task(headers: SubmitHeaders, body: TaskBody) -> Any:
    """Submit a task.

    The call returns as soon as the task is stored. Fetch its status from the URL in `Location`.
    """
    app_services = services()
    if isinstance(body.root, ChatTask):
        check_documents(body.root)
    created = app_services.submit(
        body.root, idempotency_key=headers.key, lane=headers.priority, fair_key=headers.fair_key
    )
    return _accepted_response(app_services, created)


@blueprint.route("")
@blueprint.arguments(TasksQuery, location="query")
@blueprint.response(200, TaskList, description="One page of tasks, or the requested ones.", example=examples.TASK_LIST)
@blueprint.problems(422, 503)
def list_tasks(query: TasksQuery) -> Any:
    """List tasks.

    With `ids`, returns those tasks in the given order. Without `ids`, returns all tasks page by page, newest first.
    """
    store = services().store
    if query.ids is None:
        return TaskList.of_page(lookup.page(store, query.status, query.cursor, query.limit))
    _check_ids(query)
    found = lookup.records(store, query.id_list)
    return TaskList(tasks=tuple(map(Task.of, found.records)), unknown=found.unknown, next_cursor=None)


@blueprint.route("/<id:task_id>", parameters=[examples.TASK_ID])
@blueprint.arguments(WaitQuery, location="query")
@blueprint.arguments(PollHeaders, location="headers")
@blueprint.response(
    200,
    TaskDetails,
    description="The task.",
    example=examples.TASK_DETAILS,
    headers=examples.headers("ETag", "Preference-Applied"),
)
@blueprint.alt_response(304, description="Not modified: the ETag still matches.")
@blueprint.problems(404, 422, 503)
def show_task(query: WaitQuery, headers: PollHeaders, task_id: str) -> Any:
    """Show the status of a task and its failed attempts.

    With `wait`, the call returns once the task is final or the time is up.
    """
    poll = Poll.of(query, headers)
    details = details_when_final(task_id, poll.wait_seconds)
    return poll.respond(details.record, lambda: TaskDetails.of_details(details), unfinished_status=200)


@blueprint.route("/<id:task_id>/result", parameters=[examples.TASK_ID])
@blueprint.arguments(WaitQuery, location="query")
@blueprint.arguments(PollHeaders, location="headers")
@blueprint.response(
    200,
    TaskResult,
    description="The task is final.",
    examples=examples.RESULTS,
    headers=examples.headers("ETag", "Preference-Applied"),
)
@blueprint.alt_response(
    202,
    schema=TaskResult,
    description="The task is not final yet.",
    example=examples.NO_RESULT,
    headers=examples.headers("ETag", "Retry-After", "Preference-Applied"),
)
@blueprint.alt_response(304, description="Not modified: the ETag still matches.")
@blueprint.problems(404, 422, 503)
def show_result(query: WaitQuery, headers: PollHeaders, task_id: str) -> Any:
    """Fetch the result of a task, or wait for it.

    With `wait`, the call returns once the task is final or the time is up.
    """
    poll = Poll.of(query, headers)
    view = view_when_final(task_id, poll.wait_seconds)
    return poll.respond(view.record, lambda: TaskResult.of(view))


@blueprint.route("/<id:task_id>/cancel", methods=["POST"], parameters=[examples.TASK_ID])
@blueprint.response(
    200,
    Task,
    description="The task, now cancelled, or unchanged if it was already final.",
    example=examples.CANCELLED_TASK,
)
@blueprint.problems(404, 503)
@confirmed_not_found()
def cancel_task(task_id: str) -> Any:
    """Cancel a task.

    Needs no body and may be repeated. A task that is already final does not change.
    """
    app_services = services()
    app_services.cancel(lookup.record(app_services.store, task_id))
    return Task.of(lookup.record(app_services.store, task_id))


@blueprint.route("/<id:task_id>/retry", methods=["POST"], parameters=[examples.TASK_ID])
@blueprint.response(
    202,
    Task,
    description="The new task. Repeated calls return the same new task.",
    example=examples.QUEUED_TASK,
    headers=ACCEPTED_HEADERS,
)
@blueprint.problems(400, 404, 422, 429, 503)
@confirmed_not_found()
def retry_task(task_id: str) -> Any:
    """Retry a failed, incomplete or cancelled task.

    Creates a new task and does not change the old one. Needs no body.
    """
    app_services = services()
    return _accepted_response(app_services, app_services.retry(lookup.record(app_services.store, task_id)))


@blueprint.route("/retry", methods=["POST"])
@blueprint.arguments(RetryFilter, examples=examples.RETRY_FILTERS)
@blueprint.response(200, RetryReport, description="The retried tasks.", example=examples.RETRY_REPORT)
@blueprint.problems(400, 413, 415, 422, 429, 503)
def retry_tasks(body: RetryFilter) -> Any:
    """Retry many failed, incomplete or cancelled tasks.

    Each task is retried only once, however often the call is repeated. If the queue becomes full during the call, the
    response is 429 and the tasks retried so far remain retried.
    """
    app_services = services()
    found = lookup.retryable(app_services.store, State(body.status), body.error_code, body.limit)
    retried = (
        () if body.dry_run else tuple(filter(None, (_retry_or_none(app_services, record) for record in found.records)))
    )
    if not body.dry_run:  # an earlier call may have retried the tasks that are left out now
        app_services.store.confirm_earlier_writes()
    return RetryReport(matched=len(found.records), has_more=found.has_more, dry_run=body.dry_run, retried=retried)


@blueprint.route("/<id:task_id>", methods=["DELETE"], parameters=[examples.TASK_ID])
@blueprint.response(204, description="The task was deleted.")
@blueprint.problems(404, 503)
@confirmed_not_found()
def delete_task(task_id: str) -> Any:
    """Delete a task with its request and its result.

    A task that is queued or running is cancelled first.
    """
    app_services = services()
    record = lookup.record(app_services.store, task_id)
    if not record.is_final:
        app_services.cancel(record)
    app_services.store.delete(record)
    return Response(status=HTTPStatus.NO_CONTENT)


def _accepted_response(app_services: CallerServices, created: Created) -> Any:
    response_headers = accepted_headers(url_for("tasks.show_task", task_id=created.job_id), created)
    return Task.of(created.record or lookup.record(app_services.store, created.job_id)), 202, response_headers


def _retry_or_none(app_services: CallerServices, record: JobRecord) -> RetriedTask | None:
    """None for a task that cannot be retried.

    It was deleted or has expired since it was listed, its request is unreadable, or its model is no longer offered.
    """
    try:
        return RetriedTask(task_id=record.job_id, retried_as=app_services.retry(record).job_id)
    except (JobNotFound, RequestUnreadable, ModelNotFound, UnsupportedFeature):
        return None


def _check_ids(query: TasksQuery) -> None:
    conflicts = [name for name in ("status", "cursor") if name in query.model_fields_set]
    if conflicts:
        raise InvalidFields.in_query(conflicts, "cannot be combined with ids")
    if len(query.id_list) > MAX_IDS:
        raise InvalidFields.in_query(["ids"], f"must have at most {MAX_IDS} ids")
