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

from api.http.wait_until_final import view_when_final
from api.openai.errors import CallFailed, still_running
from api.services import Services, services
from jobs import lookup, queries
from jobs.errors import JobNotFound, QueueFull, StoreUnavailable
from jobs.models import JobRecord, JobView
from jobs.requests import JobRequest
from jobs.states import State
from jobs.storage import transitions
from jobs.storage.transitions import Created
from jobs.storage.transitions.create import fingerprint, idempotency_digest
from tasks.submit import DEFAULT_TENANT

_COUNT: Final = "x-stainless-retry-count"
_SANE: Final = re.compile(r"[0-9]{1,3}")
_FIRST_WAIT_SECONDS: Final = 0.5  # the client's own numbers: before its first retry, doubled before each further one
_LONGEST_WAIT_SECONDS: Final = 8.0
_MARGIN_SECONDS: Final = 1.5  # for a new connection


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Accepted:
    """``leave`` is what to do when the client leaves before the end, ``answered`` when it has its answer.

    ``is_waited``: its caller wants the job's own answer, not only its id.
    """

    record: JobRecord
    leave: Callable[[], None] | None = None
    answered: Callable[[], None] = _nothing
    is_waited: bool = False

    @property
    def leave_late(self) -> Callable[[], None] | None:
        """Of a client without any answer so far, which may send its request again."""
        return partial(_leave_late, self.leave) if self.leave else None


def accept(
    task: JobRequest,
    id_prefix: str,
    key: str | None,
    *,
    goes_on: bool = False,
    complete: Callable[[], JobRequest] | None = None,
) -> Accepted:
    """Submit a task. Its job is cancelled when the client leaves, unless it ``goes_on``, or has a key of its own.

    ``complete`` makes the whole of the task, if it lacks anything; not for a key that has made the job before.
    """
    here = services()
    made = _made_before(here, task, key) if key and complete else None
    whole = complete() if complete and not made else task
    if key is None:
        return _accept_unnamed(here, whole, id_prefix, goes_on)
    created = made or here.submitter.submit(whole, idempotency_key=key, id_prefix=id_prefix)
    return Accepted(_record(here, created), is_waited=not goes_on)


def view_at_end(accepted: Accepted) -> JobView:
    """The job once it is final. Raises CallFailed, StillRunning, ClientLeft, JobNotFound and StoreUnavailable."""
    record, seconds = accepted.record, services().settings.client_wait_seconds
    view = view_when_final(record.job_id, seconds, accepted.leave_late, known=record)
    if not view.record.state.is_final:
        raise still_running(record.job_id)
    if view.record.state is State.FAILED and view.error is not None:
        accepted.answered()
        raise CallFailed(record.job_id, view.error)
    return view


def _leave_late(leave: Callable[[], None]) -> None:
    """Not before the client has had the time to send its request again."""
    time.sleep(_seconds_to_come_back())
    leave()


def _made_before(here: Services, task: JobRequest, key: str) -> Created | None:
    kept = here.store.run(queries.find_by_idempotency_key(DEFAULT_TENANT, idempotency_digest(key)))
    return Created(kept[1]) if kept and kept[0] == fingerprint(task) else None


def _record(here: Services, created: Created) -> JobRecord:
    return created.record or lookup.record(here.store, created.job_id)


def _accept_unnamed(here: Services, task: JobRequest, id_prefix: str, goes_on: bool) -> Accepted:
    record = _record(here, _submit_unnamed(here, task, id_prefix))
    leave = None if goes_on else _canceller(here, record)
    return Accepted(record, leave, _noter(here, record), is_waited=not goes_on)


def _submit_unnamed(here: Services, task: JobRequest, id_prefix: str) -> Created:
    if not here.settings.resend_window_seconds:
        return here.submitter.submit(task, id_prefix=id_prefix)
    key, tries = _own_key(), _tries_before()
    while True:  # each time another job, at last a new one
        created = here.submitter.submit(task, idempotency_key=key, resend_count=tries, id_prefix=id_prefix)
        if created.is_new or _goes_on(here, created.job_id):
            return created


def _tries_before() -> int:
    """Of this same request, as its client counts."""
    count = request.headers.get(_COUNT, "")
    return int(count) if _SANE.fullmatch(count) else 0


def _seconds_to_come_back() -> float:
    """How long an openai client waits before it sends a request again, and a little more; others do not come back."""
    if _COUNT not in request.headers:
        return 0
    wait: float = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2 ** _tries_before())
    return wait + _MARGIN_SECONDS


def _own_key() -> str:
    """Names a request by its path, caller and body; kept as a digest, from which nothing can be read."""
    digest = hashlib.blake2b(digest_size=32)
    for part in (request.path.encode(), request.headers.get("Authorization", "").encode(), request.get_data()):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _goes_on(here: Services, job_id: str) -> bool:
    """False for a job that was cancelled when its client left, or has expired."""
    with suppress(JobNotFound):
        return lookup.record(here.store, job_id).state is not State.CANCELLED
    return False


def _canceller(here: Services, record: JobRecord) -> Callable[[], None]:
    """Cancels the job unless the client has sent its request again since, and waits for the same one."""
    digest, tries = idempotency_digest(_own_key()), _tries_before()

    def leave() -> None:
        with suppress(StoreUnavailable):
            if here.store.run(queries.resend_count(record.tenant, digest, record.job_id)) <= tries:
                here.cancel(record)

    return leave


def _noter(here: Services, record: JobRecord) -> Callable[[], None]:
    """Notes that this call is answered: what is sent again from now on is another one."""
    key = _own_key()

    def answered() -> None:
        with suppress(StoreUnavailable, QueueFull):
            here.store.run(transitions.mark_answered(record.tenant, key, record.job_id))

    return answered
