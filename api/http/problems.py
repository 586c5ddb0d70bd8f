"""Every error response, in one format: RFC 9457 problem+json with OpenAI's ``error`` member.

The `openai` client reads only ``error``; other clients read the rest. Request content is neither returned nor logged.
"""

import logging
import math
from http import HTTPStatus
from typing import Any, Final

from flask import Flask, Response, current_app, g, json, request
from pydantic import BaseModel, Field
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from api.http.unknown_path import absent_resource, explain_method, explain_not_found
from api.http.validation import FieldError, InvalidFields
from guards.json_log import log_context
from guards.tracebacks import traceback_location as traceback_location  # noqa: PLC0414  # exported
from jobs import errors
from jobs.errors import ChatqueueError, InvalidKey
from jobs.request_id import new_request_id, read_request_id
from jobs.results import JobError

logger = logging.getLogger(__name__)

MIN_SERVER_ERROR_STATUS: Final = 500  # errors of the server, which are logged
_FORWARDED_HEADERS: Final = frozenset({"Allow", "Retry-After"})  # the headers of werkzeug's errors that clients need
_CODE_BY_STATUS: Final = {
    error.http_status: error.code
    for error in (
        errors.NotFound,
        errors.MethodNotAllowed,
        errors.NotAcceptable,
        errors.BodyTooLarge,
        errors.UnsupportedMediaType,
        errors.InvalidRequest,
        errors.InternalError,
    )
}
_EXAMPLE_CODES: Final = {
    400: errors.MalformedJson.code,
    401: errors.InvalidKey.code,
    403: errors.Forbidden.code,
    404: errors.JobNotFound.code,
    429: errors.QueueFull.code,
    502: "provider_timeout",
    503: errors.StoreUnavailable.code,
}
_STATUS_DESCRIPTIONS: Final = {
    400: "The request is malformed or invalid.",
    401: "No API key, or one that is wrong, revoked or expired. Only on a server with API keys.",
    403: "The API key may not do this, or a page of another site has sent the request.",
    404: "The requested object does not exist, or has expired.",
    413: "The request body is too large.",
    415: "The content type or the encoding of the request body is not supported.",
    422: "The request is invalid.",
    429: "The queue is full, or the provider's rate limit was exceeded. Retry later.",
    500: "Internal server error.",
    501: "Document support is not installed on this server.",
    502: "The job failed.",
    503: "The service is temporarily unavailable. Retry later.",
    504: "The job was not final within the time limit, or the provider did not respond in time.",
    507: "The server is out of space for documents.",
}
_DOCUMENT_ERROR_CODES: Final = frozenset(  # of a failed job whose caller must choose or upload other documents
    {"document_not_found", "document_not_ready", "document_failed", "embedding_model_changed"}
)


class OpenAIError(BaseModel):
    """The error in OpenAI's format."""

    message: str = Field(description="An explanation for people; its wording may change.")
    type: str = Field(description="OpenAI's type of the error, for example `invalid_request_error`.")
    param: str | None = Field(description="The invalid parameter; null if the error concerns none.")
    code: str = Field(description="A stable error code.")


class Problem(BaseModel):
    """An error. Programs can rely on `type` and on `error.code`, which are stable."""

    type: str = Field(description="The type of the problem: `/problems/{code}`.")
    title: str = Field(description="A short title of the type of problem.")
    status: int = Field(description="The HTTP status code.")
    detail: str = Field(description="An explanation of this occurrence for people; its wording may change.")
    instance: str = Field(description="The path of the request.")
    errors: list[FieldError] | None = Field(default=None, description="The invalid fields, if there are any.")
    job_id: str | None = Field(default=None, description="Id of the failed job, if a job failed.")
    error: OpenAIError = Field(description="The same error in OpenAI's format.")


class JobFailedError(ChatqueueError):
    """The job that the caller waited for has failed. ``code`` is the job's own.

    The status is 502. It is 422 if the job's documents cannot be used, the same status as at submission.
    """

    http_status = 502

    def __init__(self, job_id: str, error: JobError) -> None:
        super().__init__(error.message)
        self.code = error.code  # type: ignore[misc]  # one class, many codes
        if error.code in _DOCUMENT_ERROR_CODES:
            self.http_status = errors.InvalidRequest.http_status  # type: ignore[misc]
        self.job_id = job_id
        self.openai_error: OpenAIError | None = None  # replaces the error in OpenAI's format


def register(app: Flask) -> None:
    """Install the error handlers of the app."""
    app.before_request(_assign_request_id)
    app.after_request(_add_headers)
    app.register_error_handler(ChatqueueError, render)
    app.register_error_handler(HTTPException, _render_http)
    app.register_error_handler(Exception, _render_unexpected)


def render(error: ChatqueueError, status: int | None = None) -> Response:
    """The error as a response. ``status`` replaces the error's own status, for an API that uses another one."""
    problem = _problem(
        status or error.http_status,
        error.code,
        error.message,
        param=error.param,
        field_errors=error.errors if isinstance(error, InvalidFields) else None,
        job_id=error.job_id if isinstance(error, JobFailedError) else None,
    )
    if isinstance(error, JobFailedError) and error.openai_error:
        problem = problem.model_copy(update={"error": error.openai_error})
    response = _problem_response(problem)
    if isinstance(error, InvalidKey):
        response.headers["WWW-Authenticate"] = 'Bearer realm="chatqueue"'
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    if isinstance(error, JobFailedError):
        response.headers["x-should-retry"] = "false"  # the job has already been retried
    elif error.http_status >= MIN_SERVER_ERROR_STATUS:
        logger.warning(
            "request_rejected request_id=%s endpoint=%s code=%s message=%r",
            g.request_id,
            request.endpoint,
            error.code,
            error.message,
        )
    return response


def example(status: HTTPStatus) -> dict[str, Any]:
    """A sample problem with this status, for the OpenAPI document."""
    is_invalid = status.value == errors.InvalidRequest.http_status
    field_errors = [FieldError(pointer="#/message", detail="must not be blank")] if is_invalid else None
    problem = _problem(
        status,
        _EXAMPLE_CODES.get(status) or _code(status),
        "message: must not be blank" if field_errors else status.description or status.phrase,
        param="message" if field_errors else None,
        field_errors=field_errors,
        instance="/api/v1/chat/async",
    )
    return _body(problem)


def status_description(status: HTTPStatus) -> str:
    """The meaning of an error status in this API, for the OpenAPI document."""
    return _STATUS_DESCRIPTIONS.get(status, status.phrase)


def _assign_request_id() -> None:
    """The caller's id if it is well-formed, since the id is logged; otherwise an id of our own."""
    g.request_id = read_request_id(request.environ.get("HTTP_X_REQUEST_ID")) or new_request_id()
    log_context.set({"request_id": g.request_id})


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    return response


def _render_http(error: HTTPException) -> Response:
    """Renders the errors of Flask and werkzeug: unknown path, wrong method, body too large."""
    status = error.code or MIN_SERVER_ERROR_STATUS
    if status == HTTPStatus.METHOD_NOT_ALLOWED and absent_resource(request.path):
        error = NotFound()
        status = HTTPStatus.NOT_FOUND
    response = _problem_response(_problem(status, _code(status), _detail(error)))
    for name, value in error.get_headers():
        if name in _FORWARDED_HEADERS:
            response.headers[name] = value
    return response


def _detail(error: HTTPException) -> str:
    if error.code == errors.BodyTooLarge.http_status:
        return f"the body must have at most {request.max_content_length} bytes"
    if isinstance(error, NotFound):
        return explain_not_found(current_app.url_map, request.path, request.method)
    if isinstance(error, MethodNotAllowed):
        return explain_method(request.method, error.valid_methods or ())
    return error.description or error.name


def _render_unexpected(error: Exception) -> Response:
    """Renders an exception as 500. Its message may contain request content, so only its type and place are logged."""
    logger.error(
        "request_failed request_id=%s endpoint=%s error=%s at=%s",
        g.request_id,
        request.endpoint,
        type(error).__name__,
        traceback_location(error),
    )
    return _problem_response(
        _problem(MIN_SERVER_ERROR_STATUS, errors.InternalError.code, "internal server error; it has been logged")
    )


def _code(status: int) -> str:
    return _CODE_BY_STATUS.get(status) or HTTPStatus(status).name.lower()


def _problem(
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    field_errors: list[FieldError] | None = None,
    job_id: str | None = None,
    instance: str | None = None,
) -> Problem:
    return Problem(
        type=f"/problems/{code}",
        title=code.replace("_", " ").capitalize(),
        status=status,
        detail=message,
        instance=instance or request.root_path + request.path,
        errors=field_errors,
        job_id=job_id,
        error=OpenAIError(message=message, type=openai_type(status), param=param, code=code),
    )


def openai_type(status: int) -> str:
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "rate_limit_error"
    return "server_error" if status >= MIN_SERVER_ERROR_STATUS else "invalid_request_error"


def _body(problem: Problem) -> dict[str, Any]:
    """The problem without absent fields, except for ``param``: the `openai` client expects a null."""
    return problem.model_dump(exclude_none=True) | {"error": problem.error.model_dump()}


def _problem_response(problem: Problem) -> Response:
    return Response(json.dumps(_body(problem)), problem.status, content_type="application/problem+json")
