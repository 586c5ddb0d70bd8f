"""Submits an OpenAI-compatible call as a job, waits for the job, and delivers its answer.

When its connection breaks, an openai client resends the request by itself and without an idempotency key. A resend is
recognised by its body, its caller and its retry count. It finds the job of its first try, or the job of an identical
call that has no answer yet. It prefers a job that no other resend has found, and the first try of a call never looks
for a job. Two identical calls that are both intended therefore create two jobs.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from flask import Response, jsonify, request

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.http.json_body import raw_body
from api.http.long_poll import view_when_final
from api.openai.errors import OpenAIJobFailedError, unfinished_error
from api.schemas.requests import SubmitHeaders
from api.services import CallerServices, services
from jobs import lookup
from jobs.errors import JobNotFound, QueueFull, StoreUnavailable
from jobs.kinds.base import JobRequest
from jobs.models import JobRecord, JobView
from jobs.providers import split_target
from jobs.request_fingerprint import fingerprint, idempotency_digest
from jobs.states import State
from jobs.storage.transitions import Created

PROVIDER_HEADER: Final = "x-chatqueue-provider"
_RETRY_COUNT_HEADER: Final = "x-stainless-retry-count"
_RETRY_COUNT_PATTERN: Final = re.compile(r"[0-9]{1,3}")
_FIRST_RETRY_WAIT_SECONDS: Final = 0.5  # the client's own wait before its first retry, doubled before each further one
_MAX_RETRY_WAIT_SECONDS: Final = 8.0  # the client's own limit
_RECONNECT_MARGIN_SECONDS: Final = 1.5  # for a new connection


def _no_op() -> None:
    pass


@dataclass(frozen=True)
class Submission:
    """A job and the client that waits for it.

    ``on_disconnect`` is called when the client disconnects before the end, ``mark_answered`` when it has its answer.
    ``is_foreground``: the client waits for the answer, not only for the job's id.
    """

    record: JobRecord
    on_disconnect: Callable[[], None] | None = None
    mark_answered: Callable[[], None] = _no_op
    is_foreground: bool = False

    @property
    def on_disconnect_after_grace(self) -> Callable[[], None] | None:
        """``on_disconnect``, delayed until a client without an answer has had time to resend its request."""
        return partial(_disconnect_after_grace, self.on_disconnect) if self.on_disconnect else None


def submit(
    task: JobRequest,
    id_prefix: str,
    headers: SubmitHeaders,
    *,
    is_background: bool = False,
    load_history: Callable[[], JobRequest] | None = None,
) -> Submission:
    """Submit a task. A disconnect cancels the job, unless the call ``is_background`` or has an idempotency key.

    ``load_history`` returns the task with its conversation. It is not called for a key that already has a job.
    """
    app_services, key = services(), headers.key
    existing = _find_existing(app_services, task, key) if key and load_history else None
    full_task = load_history() if load_history and not existing else task
    create = partial(
        app_services.submit,
        full_task,
        id_prefix=id_prefix,
        lane=headers.priority,
        fair_key=headers.fair_key,
    )
    if key is None:
        return _submission_without_key(app_services, create, is_background)
    created = existing or create(idempotency_key=key)
    return Submission(_record(app_services, created), is_foreground=not is_background)


def wait_for_final_view(submission: Submission) -> JobView:
    """The job once it is final.

    Raises OpenAIJobFailedError, StillRunning, ServerStopped, ClientDisconnected, JobNotFound and StoreUnavailable.
    """
    record, seconds = submission.record, services().settings.client_wait_seconds
    view = view_when_final(record.job_id, seconds, submission.on_disconnect_after_grace, known=record)
    if not view.record.is_final:
        raise unfinished_error(record.job_id, is_shutting_down=services().listener.is_closed)
    if view.record.state is not State.CANCELLED and view.error is not None:
        submission.mark_answered()
        raise OpenAIJobFailedError(record.job_id, view.error)
    return view


def track_delivery(
    submission: Submission, answer: dict[str, Any] | Response, final_record: JobRecord | None = None
) -> Response:
    """A response that marks the call as answered once the whole answer has been sent to a connected client.

    With the record of a final job it names the job's provider, if that is known.
    """
    response = answer if isinstance(answer, Response) else jsonify(answer)
    if final_record is not None and final_record.target:
        response.headers[PROVIDER_HEADER], _ = split_target(final_record.target)
    response.response = _mark_when_sent(response.response, disconnect_check(), submission.mark_answered)
    return response


def _mark_when_sent(
    parts: Iterable[Any], check_disconnect: Callable[[], None], mark_answered: Callable[[], None]
) -> Iterator[Any]:
    """A client that has closed only its own side of the connection still reads the answer."""
    is_connected = True
    try:
        check_disconnect()
    except ClientDisconnected:
        is_connected = False
    yield from parts
    if is_connected:
        mark_answered()


def _disconnect_after_grace(on_disconnect: Callable[[], None]) -> None:
    """Call ``on_disconnect`` after the time that the client needs to resend its request."""
    time.sleep(_resend_grace_seconds())
    on_disconnect()


def _find_existing(app_services: CallerServices, task: JobRequest, key: str) -> Created | None:
    entry = app_services.store.find_by_idempotency_key(idempotency_digest(key))
    if entry is None or entry[0] != fingerprint(task):
        return None
    if app_services.store.read_job(entry[1])[0] is None:  # expired or lost: it is created again
        return None
    app_services.store.confirm_earlier_writes()
    app_services.note_found(entry[1], task.kind)
    return Created(entry[1])


def _record(app_services: CallerServices, created: Created) -> JobRecord:
    return created.record or lookup.record(app_services.store, created.job_id)


def _submission_without_key(
    app_services: CallerServices, create: Callable[..., Created], is_background: bool
) -> Submission:
    created = _submit_deduplicated(app_services, create)
    record = _record(app_services, created)
    on_disconnect = None if is_background else _cancel_callback(app_services, record, has_joined=not created.is_new)
    return Submission(
        record, on_disconnect, _mark_answered_callback(app_services, record), is_foreground=not is_background
    )


def _submit_deduplicated(app_services: CallerServices, create: Callable[..., Created]) -> Created:
    if not app_services.settings.resend_window_seconds:
        return create()
    key, retry_count = _dedup_token(), _client_retry_count()
    while True:  # each round finds another existing job, and the last one creates a new job
        created = create(idempotency_key=key, resend_count=retry_count)
        if created.is_new or _is_reusable(app_services, created.job_id):
            return created


def _client_retry_count() -> int:
    """How often the client has already sent this request, by its own count."""
    count = request.headers.get(_RETRY_COUNT_HEADER, "")
    return int(count) if _RETRY_COUNT_PATTERN.fullmatch(count) else 0


def _resend_grace_seconds() -> float:
    """The time after which an openai client resends a request, plus a margin; 0 for other clients, which do not."""
    if _RETRY_COUNT_HEADER not in request.headers:
        return 0
    wait: float = min(_MAX_RETRY_WAIT_SECONDS, _FIRST_RETRY_WAIT_SECONDS * 2 ** _client_retry_count())
    return wait + _RECONNECT_MARGIN_SECONDS


def _dedup_token() -> str:
    """A digest of the path, caller and body of a request, which cannot be recovered from it.

    The caller is the holder of the API key, so that a resend with a rotated key finds its job. A service without keys
    tells callers apart by what they would send as a key.
    """
    digest = hashlib.blake2b(digest_size=32)
    holder = services().caller.holder or request.headers.get("Authorization", "")
    for part in (request.path.encode(), holder.encode(), raw_body()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _is_reusable(app_services: CallerServices, job_id: str) -> bool:
    """False for a job that has expired, or was cancelled when its client disconnected."""
    with suppress(JobNotFound):
        return lookup.record(app_services.store, job_id).state is not State.CANCELLED
    return False


def _cancel_callback(app_services: CallerServices, record: JobRecord, *, has_joined: bool) -> Callable[[], None]:
    """A callback that cancels the job, unless the client has resent its request and waits for the same job.

    ``has_joined``: the request found the job of an earlier one. That one may be another caller's, who sent the same
    bytes: a job for which any other connection waits is not cancelled then.
    """
    digest, retry_count = idempotency_digest(_dedup_token()), _client_retry_count()

    def on_disconnect() -> None:
        with suppress(StoreUnavailable):
            if has_joined and app_services.listener.has_waiters(record.job_id):
                return
            if app_services.store.resend_count(digest, record.job_id) <= retry_count:
                app_services.cancel(record)

    return on_disconnect


def _mark_answered_callback(app_services: CallerServices, record: JobRecord) -> Callable[[], None]:
    """A callback that records that the call is answered: the same request sent later is a new call."""
    key = _dedup_token()

    def mark_answered() -> None:
        with suppress(StoreUnavailable, QueueFull):
            app_services.store.mark_answered(key, record.job_id)

    return mark_answered
