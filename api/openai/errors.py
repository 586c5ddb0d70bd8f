"""Errors of /v1. The openai client chooses its exception class by the status."""

import re
from http import HTTPStatus
from typing import Any, Final, Self

from api.http.problems import JobFailedError, OpenAIError, openai_type
from jobs.errors import ChatqueueError, InvalidRequest, NotFound, ProviderError
from jobs.results import JobError

_ITEM_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")
_STATUS: Final = {
    "provider_rejected_request": HTTPStatus.BAD_REQUEST,
    "provider_not_found": HTTPStatus.NOT_FOUND,
    "provider_rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "provider_quota_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "provider_timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "deadline_exceeded": HTTPStatus.GATEWAY_TIMEOUT,
}


class BadParameter(InvalidRequest):
    """A parameter that OpenAI rejects, or that is not supported here."""

    http_status = 400


class PreviousResponseNotFound(BadParameter):
    code = "previous_response_not_found"


class ConversationTooLong(BadParameter):
    code = "conversation_too_long"


class ItemNotFound(NotFound):
    """A request refers to an item of a response that has expired, was not stored or was deleted."""

    code = "item_not_found"

    @classmethod
    def of(cls, item_id: str) -> Self:
        shown = item_id if _ITEM_ID.fullmatch(item_id) else "of that id"
        return cls(f"item {shown} not found: its response has expired, was not stored or was deleted", param="input")


class StillRunning(ChatqueueError):
    """The job is not final within the time limit. The client resends its request and waits for the same job."""

    code = "still_running"
    http_status = 504


class ServerStopped(ChatqueueError):
    """The job is not final, and this server shuts down. The client resends its request to another one."""

    code = "server_stopped"
    http_status = 503


class OpenAIJobFailedError(JobFailedError):
    """The job failed. The status is the provider's, for example 400, 404 or 429. The client should not retry."""

    def __init__(self, job_id: str, error: JobError) -> None:
        super().__init__(job_id, error)
        self.http_status = _STATUS.get(error.code, HTTPStatus.BAD_GATEWAY)  # type: ignore[misc]  # one class, many
        self.openai_error = OpenAIError(**openai_error(error, openai_type(self.http_status)))


def openai_error(error: JobError, default_type: str = "server_error") -> dict[str, Any]:
    """The error in OpenAI's format: as the provider reported it, else our own."""
    provider = error.provider or ProviderError()
    return {
        "message": provider.message or error.message,
        "type": provider.type or default_type,
        "param": provider.param,
        "code": provider.code or error.code,
    }


def cancelled_error(job_id: str) -> OpenAIJobFailedError:
    return OpenAIJobFailedError(job_id, JobError(code="cancelled", message="the job was cancelled"))


def unfinished_error(job_id: str, *, is_shutting_down: bool) -> StillRunning | ServerStopped:
    """The job of a call is not final, but the call must end."""
    remedy = "repeat the same request, or fetch it by its id"
    if is_shutting_down:
        return ServerStopped(f"the server is shutting down; {job_id} continues: {remedy}", retry_after_seconds=1)
    return StillRunning(f"{job_id} is still running; {remedy}")
