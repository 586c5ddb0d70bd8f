"""Every error that a caller can receive, as one tree. A class outside this module is listed with its module.

    ChatqueueError
    ├── InvalidRequest               422 invalid_request        a field is invalid; ``param`` names it
    │   ├── MalformedJson            400 malformed_json         the body is not JSON; the message gives the position
    │   ├── MalformedRequest         400 malformed_request      the request has no Host header
    │   ├── MalformedUpload          400 malformed_upload       the body is not a form with one file, or ended early
    │   ├── IdempotencyConflict      422 idempotency_conflict   same Idempotency-Key, different request
    │   ├── NotRetryable             422 not_retryable          the job is still active, or has its answer
    │   ├── RequestUnreadable        422 request_unreadable     the stored request of a job cannot be read
    │   ├── InvalidFields            422 invalid_request        one or more fields are invalid (api.http.validation)
    │   ├── UnsupportedFeature       400 unsupported_feature    no target of the model can serve the request
    │   ├── DocumentNotAvailable     422 set per error          a document cannot be queried (api.document_checks)
    │   └── BadParameter             400 invalid_request        rejected by OpenAI, or unsupported (api.openai.errors)
    │       ├── PreviousResponseNotFound 400 previous_response_not_found  (api.openai.errors)
    │       └── ConversationTooLong  400 conversation_too_long  (api.openai.errors)
    ├── InvalidKey                   401 invalid_api_key        no API key, or one that is wrong, revoked or expired
    ├── CrossSiteRequest             403 cross_site_request     sent by a page of another site
    ├── Forbidden                    403 forbidden              the API key may not do this
    │   └── TenantArchived           403 tenant_archived        the tenant of the key is archived
    ├── NotFound                     404 not_found
    │   ├── DocumentNotFound         404 document_not_found     unknown or deleted
    │   ├── JobNotFound              404 job_not_found          unknown, expired, deleted or malformed id
    │   ├── ModelNotFound            404 model_not_found        the server or its provider does not list the model
    │   ├── TenantNotFound           404 tenant_not_found
    │   ├── KeyNotFound              404 key_not_found
    │   └── ItemNotFound             404 item_not_found         (api.openai.errors)
    ├── MethodNotAllowed             405 method_not_allowed
    ├── NotAcceptable                406 not_acceptable
    ├── BodyTimeout                  408 body_timeout           the body did not arrive in time
    ├── BodyTooLarge                 413 body_too_large
    ├── UnsupportedMediaType         415 unsupported_media_type
    ├── HostNotAllowed               421 host_not_allowed       the Host header has an unknown name
    ├── QueueFull                    429 queue_full             ``retry_after_seconds``: when to try again
    ├── TooManyFailures              429 too_many_failed_keys   many wrong API keys from one address
    ├── ClientDisconnected           499 client_disconnected    appears in logs only (api.http.disconnect)
    ├── DocumentRejected             set per error              a DocumentError (api.http.upload_parsing)
    ├── JobFailedError               502 set per error          the awaited job has failed (api.http.problems)
    │   └── OpenAIJobFailedError     set per error              the same under /v1 (api.openai.errors)
    ├── ServerBusy                   503 server_busy            too many large bodies or connections at once
    ├── StoreUnavailable             503 store_unavailable      Redis is unreachable, refuses, or a write is not safe
    │   └── RightsMissing            503 store_unavailable      the user of Redis lacks a right
    ├── DocumentsFull                507 storage_full           all documents together have too many bytes
    ├── ServerStopped                503 server_stopped         a /v1 call is unfinished at a stop (api.openai.errors)
    ├── StillRunning                 504 still_running          a /v1 call has waited too long (api.openai.errors)
    ├── InternalError                500 internal_error         a bug
    └── AttemptError                 no HTTP status: it ends an attempt, not a request; see ProviderFault
        ├── ProviderRetryable        retried: 408, 409, 429, 5xx, timeout, cut stream
        ├── ProviderRejected         the request is invalid or not allowed: 400, 401, 403, 404, 422
        ├── RequestTooLarge          the request needs more tokens than its model is allowed in a minute
        ├── ProviderBroken           the reply does not follow the protocol
        ├── DocumentRejected         a document cannot be read or queried; the code names the reason
        ├── AttemptCrashed           a bug, or out of memory: retried
        ├── DeadlineExceeded         the job's deadline has passed
        └── WorkerLost               the job killed its quarantine process, or lost too many workers

documents/ has an error tree of its own (documents/errors.py). The API translates its errors to api's DocumentRejected.
The worker translates them to the DocumentRejected below AttemptError, or to AttemptCrashed if a retry may help.

No message here ever contains a prompt, an answer or a secret: messages are logged and shown.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final


class ChatqueueError(Exception):
    """The base class. ``code`` is stable: clients may switch on it."""

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


class MalformedRequest(InvalidRequest):
    code = "malformed_request"
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
    """The stored request of a job cannot be read. The job fails with this code as soon as a worker claims it."""

    code = "request_unreadable"


class UnsupportedFeature(InvalidRequest):
    """The request is valid, but no target of its model can serve it."""

    code = "unsupported_feature"
    http_status = 400


class CrossSiteRequest(ChatqueueError):
    code = "cross_site_request"
    http_status = 403


class InvalidKey(ChatqueueError):
    """No valid API key. One message for all reasons: it does not tell which keys exist."""

    code = "invalid_api_key"
    http_status = 401

    def __init__(self) -> None:
        super().__init__(
            "a valid API key is required: send it in the header Authorization, as Bearer sk-cq-...; "
            "a key in the URL is never accepted"
        )


class Forbidden(ChatqueueError):
    """The API key is valid and may not do this."""

    code = "forbidden"
    http_status = 403


class TenantArchived(Forbidden):
    code = "tenant_archived"


class TooManyFailures(ChatqueueError):
    code = "too_many_failed_keys"
    http_status = 429


class NotFound(ChatqueueError):
    code = "not_found"
    http_status = 404


class JobNotFound(NotFound):
    code = "job_not_found"


class DocumentNotFound(NotFound):
    code = "document_not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class TenantNotFound(NotFound):
    code = "tenant_not_found"


class KeyNotFound(NotFound):
    code = "key_not_found"


class MethodNotAllowed(ChatqueueError):
    code = "method_not_allowed"
    http_status = 405


class NotAcceptable(ChatqueueError):
    code = "not_acceptable"
    http_status = 406


class BodyTimeout(ChatqueueError):
    code = "body_timeout"
    http_status = 408


class BodyTooLarge(ChatqueueError):
    code = "body_too_large"
    http_status = 413


class UnsupportedMediaType(ChatqueueError):
    code = "unsupported_media_type"
    http_status = 415


class HostNotAllowed(ChatqueueError):
    code = "host_not_allowed"
    http_status = 421


class QueueFull(ChatqueueError):
    code = "queue_full"
    http_status = 429


def no_memory() -> QueueFull:
    return QueueFull("the store is out of memory; try again later", retry_after_seconds=5)


def no_such_job(param: str) -> JobNotFound:
    """``param``: the parameter with the id, which names what the caller has asked for: ``response_id``."""
    noun = param.removeprefix("previous_").removesuffix("_id")
    return JobNotFound(f"no such {noun}: it has expired, was deleted or never existed", param=param)


def no_such_tenant() -> TenantNotFound:
    return TenantNotFound("no such tenant", param="tenant")


class ServerBusy(ChatqueueError):
    code = "server_busy"
    http_status = 503


class StoreUnavailable(ChatqueueError):
    code = "store_unavailable"
    http_status = 503


class RightsMissing(StoreUnavailable):
    """The user of Redis may not do what this process needs; ``missing`` names it."""

    def __init__(self, missing: str, *, retry_after_seconds: float | None = None) -> None:
        message = f"the Redis user of this server lacks rights: {missing}; its operator must allow them"
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.missing = missing


class DocumentsFull(ChatqueueError):
    code = "storage_full"
    http_status = 507


class InternalError(ChatqueueError):
    code = "internal_error"
    http_status = 500


UNREACHABLE_CODE: Final = "provider_unreachable"  # nothing was sent: the job is not at fault


class ProviderFault(StrEnum):
    """A fault of the provider, not of the job: another target may do the job, or the same one later."""

    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"  # it cannot be reached, is overloaded, fails, or sends no first token in time
    QUOTA = "quota"  # used up until someone pays or the period ends
    DENIED = "denied"  # it rejects the key or lacks the model: waiting does not help


@dataclass(frozen=True)
class ProviderError:
    """The error as the provider reported it. It is for the caller alone, because its message may quote the prompt."""

    code: str | None = None
    type: str | None = None
    param: str | None = None
    message: str | None = field(default=None, repr=False)


class AttemptError(ChatqueueError):
    """An attempt has failed. ``code`` may be set per error and names the reason.

    ``fault`` is None if the job itself is the cause, or may be.
    """

    is_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after_seconds: float | None = None,
        fault: ProviderFault | None = None,
        provider_error: ProviderError | None = None,
    ) -> None:
        super().__init__(message, retry_after_seconds=retry_after_seconds)
        self.fault = fault
        self.provider_error = provider_error  # for the caller alone, never for a log
        if code is not None:
            self.code = code  # type: ignore[misc]  # one class, many of the provider's codes


class ProviderRetryable(AttemptError):
    """Temporary: the retry policy decides whether and when to try again."""

    is_retryable = True


class ProviderRejected(AttemptError):
    """Final: the same request would be refused again."""


class ProviderBroken(AttemptError):
    """Final: the server does not follow the protocol."""

    code = "provider_broken"


class RequestTooLarge(AttemptError):
    """Final: the request needs more tokens than the model is allowed in a minute."""

    code = "request_too_large"


class DocumentRejected(AttemptError):
    """Final: the same document would be refused again."""


class AttemptCrashed(AttemptError):
    code = "attempt_crashed"
    is_retryable = True


class DeadlineExceeded(AttemptError):
    code = "deadline_exceeded"


class WorkerLost(AttemptError):
    code = "worker_lost"
