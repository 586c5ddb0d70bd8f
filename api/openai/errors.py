"""What is answered in place of an answer, as errors that the client turns into its own classes."""

from http import HTTPStatus
from typing import Final

from api.http.problems import JobFailedError
from jobs.errors import ChatqueueError, InvalidRequest, NotFound
from jobs.results import JobError

_STATUS: Final = {
    "provider_rejected_request": HTTPStatus.BAD_REQUEST,
    "provider_not_found": HTTPStatus.NOT_FOUND,
    "provider_rate_limited": HTTPStatus.TOO_MANY_REQUESTS,
    "provider_quota_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "provider_timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "deadline_exceeded": HTTPStatus.GATEWAY_TIMEOUT,
}


class BadParameter(InvalidRequest):
    """What OpenAI refuses, or we cannot do."""

    http_status = 400


class PreviousResponseNotFound(BadParameter):
    code = "previous_response_not_found"


class ConversationTooLong(BadParameter):
    code = "conversation_too_long"


class ModelNotFound(NotFound):
    code = "model_not_found"


class StillRunning(ChatqueueError):
    """The wait is over and the job is not. The client sends its request again, and waits for the same job."""

    code = "still_running"
    http_status = 504


class OpenAIJobFailedError(JobFailedError):
    """As the provider would have answered: 400, 404, 429 where it did so; it is not worth sending again."""

    def __init__(self, job_id: str, error: JobError) -> None:
        super().__init__(job_id, error)
        self.http_status = _STATUS.get(error.code, HTTPStatus.BAD_GATEWAY)  # type: ignore[misc]  # one class, many


def cancelled_error(job_id: str) -> OpenAIJobFailedError:
    return OpenAIJobFailedError(job_id, JobError(code="cancelled", message="the job was cancelled"))


def still_running_error(job_id: str) -> StillRunning:
    return StillRunning(f"{job_id} has not ended yet and goes on; send the same request again, or fetch it by its id")
