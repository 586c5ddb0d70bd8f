"""How a call becomes a job, and how it waits for its end.

An openai client repeats a request by itself when the connection broke, and names no key. What it repeats is known by
its body, its caller and its count: so it finds the job of its first try, or one of an equal call that was sent at the
same time and has no answer yet; no two of them find the same. Two equal calls that are meant are two jobs.
"""

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from flask import request

from api.http.long_poll import view_when_final
from api.openai.errors import OpenAIJobFailedError, still_running_error
from api.services import Services, services
from jobs import lookup, queries
from jobs.errors import JobNotFound, QueueFull, StoreUnavailable
from jobs.idempotency import fingerprint, idempotency_digest
from jobs.kinds.base import JobRequest
from jobs.models import DEFAULT_TENANT, JobRecord, JobView
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.transitions import Created

_RETRY_COUNT_HEADER: Final = "x-stainless-retry-count"
_RETRY_COUNT_PATTERN: Final = re.compile(r"[0-9]{1,3}")
_FIRST_RETRY_WAIT_SECONDS: Final = (
    0.5  # the client's own numbers: before its first retry, doubled before each further one
)
_MAX_RETRY_WAIT_SECONDS: Final = 8.0
_RECONNECT_MARGIN_SECONDS: Final = 1.5  # for a new connection


def _no_op() -> None:
    pass


@dataclass(frozen=True)
class Submission:
    """``on_disconnect`` is what to do when the client leaves before the end, ``mark_answered`` when it has its answer.

    ``is_foreground``: its caller wants the job's own answer, not only its id.
    """

    record: JobRecord
    on_disconnect: Callable[[], None] | None = None
    mark_answered: Callable[[], None] = _no_op
    is_foreground: bool = False

    @property
    def on_disconnect_after_grace(self) -> Callable[[], None] | None:
        """Of a client without any answer so far, which may send its request again."""
        return partial(_disconnect_after_grace, self.on_disconnect) if self.on_disconnect else None


def submit(
    task: JobRequest,
    id_prefix: str,
    key: str | None,
    *,
    is_background: bool = False,
    load_history: Callable[[], JobRequest] | None = None,
) -> Submission:
    """Submit a task. Its job is cancelled when the client leaves, unless it ``is_background``, or has a key of its own.

    ``load_history`` makes the whole of the task, if it lacks anything; not for a key that has made the job before.
    """
    app_services = services()
    existing = _find_existing(app_services, task, key) if key and load_history else None
    full_task = load_history() if load_history and not existing else task
    if key is None:
        return _submission_without_key(app_services, full_task, id_prefix, is_background)
    created = existing or app_services.submitter.submit(full_task, idempotency_key=key, id_prefix=id_prefix)
    return Submission(_record(app_services, created), is_foreground=not is_background)


def wait_for_final_view(submission: Submission) -> JobView:
    """The job once it is final. Raises OpenAIJobFailedError, StillRunning, ClientDisconnected, JobNotFound and
    StoreUnavailable.
    """
    record, seconds = submission.record, services().settings.client_wait_seconds
    view = view_when_final(record.job_id, seconds, submission.on_disconnect_after_grace, known=record)
    if not view.record.state.is_final:
        raise still_running_error(record.job_id)
    if view.record.state is State.FAILED and view.error is not None:
        submission.mark_answered()
        raise OpenAIJobFailedError(record.job_id, view.error)
    return view


def _disconnect_after_grace(on_disconnect: Callable[[], None]) -> None:
    """Not before the client has had the time to send its request again."""
    time.sleep(_resend_grace_seconds())
    on_disconnect()


def _find_existing(app_services: Services, task: JobRequest, key: str) -> Created | None:
    entry = app_services.store.run(queries.find_by_idempotency_key(DEFAULT_TENANT, idempotency_digest(key)))
    return Created(entry[1]) if entry and entry[0] == fingerprint(task) else None


def _record(app_services: Services, created: Created) -> JobRecord:
    return created.record or lookup.record(app_services.store, created.job_id)


def _submission_without_key(
    app_services: Services, task: JobRequest, id_prefix: str, is_background: bool
) -> Submission:
    record = _record(app_services, _submit_deduplicated(app_services, task, id_prefix))
    on_disconnect = None if is_background else _cancel_callback(app_services, record)
    return Submission(
        record, on_disconnect, _mark_answered_callback(app_services, record), is_foreground=not is_background
    )


def _submit_deduplicated(app_services: Services, task: JobRequest, id_prefix: str) -> Created:
    if not app_services.settings.resend_window_seconds:
        return app_services.submitter.submit(task, id_prefix=id_prefix)
    key, retry_count = _dedup_token(), _client_retry_count()
    while True:  # each time another job, at last a new one
        created = app_services.submitter.submit(
            task, idempotency_key=key, resend_count=retry_count, id_prefix=id_prefix
        )
        if created.is_new or _is_reusable(app_services, created.job_id):
            return created


def _client_retry_count() -> int:
    """Of this same request, as its client counts."""
    count = request.headers.get(_RETRY_COUNT_HEADER, "")
    return int(count) if _RETRY_COUNT_PATTERN.fullmatch(count) else 0


def _resend_grace_seconds() -> float:
    """How long an openai client waits before it sends a request again, and a little more; others do not come back."""
    if _RETRY_COUNT_HEADER not in request.headers:
        return 0
    wait: float = min(_MAX_RETRY_WAIT_SECONDS, _FIRST_RETRY_WAIT_SECONDS * 2 ** _client_retry_count())
    return wait + _RECONNECT_MARGIN_SECONDS


def _dedup_token() -> str:
    """Names a request by its path, caller and body; kept as a digest, from which nothing can be read."""
    digest = hashlib.blake2b(digest_size=32)
    for part in (request.path.encode(), request.headers.get("Authorization", "").encode(), request.get_data()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _is_reusable(app_services: Services, job_id: str) -> bool:
    """False for a job that was cancelled when its client left, or has expired."""
    with suppress(JobNotFound):
        return lookup.record(app_services.store, job_id).state is not State.CANCELLED
    return False


def _cancel_callback(app_services: Services, record: JobRecord) -> Callable[[], None]:
    """Cancels the job unless the client has sent its request again since, and waits for the same one."""
    digest, retry_count = idempotency_digest(_dedup_token()), _client_retry_count()

    def on_disconnect() -> None:
        with suppress(StoreUnavailable):
            if app_services.store.run(queries.resend_count(record.tenant, digest, record.job_id)) <= retry_count:
                app_services.cancel(record)

    return on_disconnect


def _mark_answered_callback(app_services: Services, record: JobRecord) -> Callable[[], None]:
    """Notes that this call is answered: what is sent again from now on is another one."""
    key = _dedup_token()

    def mark_answered() -> None:
        with suppress(StoreUnavailable, QueueFull):
            app_services.store.run(transitions.mark_answered(record.tenant, key, record.job_id))

    return mark_answered
