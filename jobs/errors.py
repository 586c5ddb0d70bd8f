"""Every error a caller can meet, as one tree.

    ChatqueueError
    ├── InvalidRequest           422 invalid_request      a field is wrong: ``param`` names it
    │   ├── MalformedJson        400 malformed_json       the body is no JSON: the message says where
    │   ├── MalformedUpload      400 malformed_upload     the body is no form with one file, or ended early
    │   ├── IdempotencyConflict  422 idempotency_conflict same Idempotency-Key, another body
    │   ├── NotRetryable         422 not_retryable        the job runs still, or has its answer
    │   └── RequestUnreadable    422 request_unreadable   what was asked of the job cannot be read any more
    ├── NotFound                 404 not_found
    │   ├── DocumentNotFound     404 document_not_found   unknown or deleted
    │   └── JobNotFound          404 job_not_found        unknown, expired, deleted or malformed id
    ├── MethodNotAllowed         405 method_not_allowed
    ├── NotAcceptable            406 not_acceptable
    ├── BodyTooLarge             413 body_too_large
    ├── UnsupportedMediaType     415 unsupported_media_type
    ├── QueueFull                429 queue_full           ``retry_after_seconds`` says when to come back
    ├── StoreUnavailable         503 store_unavailable    Redis refuses, is silent or is loading
    ├── InternalError            500 internal_error       a fault of ours
    └── AttemptError             (no HTTP status: it ends an attempt, not a request)
        ├── ProviderRetryable        worth another attempt: 408, 409, 429, 5xx, timeout, cut stream
        ├── ProviderRejected         the request is at fault or not allowed: 400, 401, 403, 404, 422
        ├── ProviderBroken           the answer makes no sense: not the protocol we speak
        ├── DocumentRejected         a document cannot be read, or not be asked; the code says why
        ├── AttemptCrashed           a fault of ours, or no memory: worth another attempt
        ├── DeadlineExceeded         the job's own time is up
        └── WorkerLost           in quarantine, with a process to itself, it killed that too

No message here ever holds a prompt, an answer or a secret: messages are logged and shown.
"""

from typing import ClassVar


class ChatqueueError(Exception):
    """The root. ``code`` is stable: clients may switch on it."""

    code: ClassVar[str] = "internal_error"
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, param: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after_seconds = retry_after_seconds


class InvalidRequest(ChatqueueError):
    code = "invalid_request"
    http_status = 422


class MalformedJson(InvalidRequest):
    code = "malformed_json"
    http_status = 400


class MalformedUpload(InvalidRequest):
    code = "malformed_upload"
    http_status = 400


class IdempotencyConflict(InvalidRequest):
    code = "idempotency_conflict"
    http_status = 422


class NotRetryable(InvalidRequest):
    code = "not_retryable"


class RequestUnreadable(InvalidRequest):
    """Of a job that is on record; such a job fails with this code as soon as a worker takes it."""

    code = "request_unreadable"


class NotFound(ChatqueueError):
    code = "not_found"
    http_status = 404


class JobNotFound(NotFound):
    code = "job_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class MethodNotAllowed(ChatqueueError):
    code = "method_not_allowed"
    http_status = 405


class NotAcceptable(ChatqueueError):
    code = "not_acceptable"
    http_status = 406


class BodyTooLarge(ChatqueueError):
    code = "body_too_large"
    http_status = 413


class UnsupportedMediaType(ChatqueueError):
    code = "unsupported_media_type"
    http_status = 415


class QueueFull(ChatqueueError):
    code = "queue_full"
    http_status = 429


def no_memory() -> QueueFull:
    return QueueFull("the store has no memory left; try again later", retry_after_seconds=5)


def no_such_job(param: str) -> JobNotFound:
    return JobNotFound("no such job: it has expired, was deleted, or never was", param=param)


class StoreUnavailable(ChatqueueError):
    code = "store_unavailable"
    http_status = 503


class InternalError(ChatqueueError):
    code = "internal_error"
    http_status = 500


class AttemptError(ChatqueueError):
    """An attempt has failed. ``code`` may be set per error: it names what happened."""

    is_retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, code: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        if code is not None:
            self.code = code  # type: ignore[misc]  # one class, many of the provider's codes


class ProviderRetryable(AttemptError):
    """Temporary: the job core decides whether and when to try again."""

    is_retryable = True


class ProviderRejected(AttemptError):
    """Final: the same request would be refused again."""


class ProviderBroken(AttemptError):
    """Final: what answered does not speak the protocol."""

    code = "provider_broken"


class DocumentRejected(AttemptError):
    """Final: the same document would be refused again."""


class AttemptCrashed(AttemptError):
    code = "attempt_crashed"
    is_retryable = True


class DeadlineExceeded(AttemptError):
    code = "deadline_exceeded"


class WorkerLost(AttemptError):
    code = "worker_lost"
