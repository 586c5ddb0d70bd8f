"""Celery's own ``revoke`` and ``terminate`` are cancels: of queued jobs and of running ones, on every pool.

Celery by itself lets a plain revoke of a running task pass, and to ``terminate`` it kills the process or greenlet in
which the task runs: the threads pool cannot. Here a worker that hears of either writes the cancel to the job's
record, which closes the running call wherever it is; nothing is killed. All workers hear of it and all do the same:
a cancel may come any number of times. Ids that are not jobs' go to Celery as they came.

On ``-P solo`` a worker hears of remote control between its jobs only: a revoke of what runs there is heard when it
has ended, unless there is a worker on another pool. A cancel over HTTP stops it at once, as everywhere.

Loaded by workers only.
"""

import logging
from collections import defaultdict
from functools import cache
from typing import Any, TypeAlias

from celery.signals import task_revoked
from celery.utils.functional import maybe_list
from celery.worker import control
from celery.worker import state as worker_state

from jobs.errors import QueueFull, StoreUnavailable
from jobs.models import is_job_id
from jobs.settings import get_settings
from jobs.storage import transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.redis_client import connect
from jobs.storage.store import Store

logger = logging.getLogger(__name__)

Reply: TypeAlias = dict[str, str]  # Celery's form: what was done under `ok`, or why it was not under `error`

_celery_revoke = control.revoke


@control.control_command(variadic="task_id", signature="[id1 [id2 [... [idN]]]]")  # type: ignore[untyped-decorator]
def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **options: Any) -> Reply:
    """Revoke task by id (or list of ids); a job is cancelled, also while it runs."""
    requested_ids = list(dict.fromkeys(maybe_list(task_id) or ()))
    job_ids = [id_ for id_ in requested_ids if is_job_id(id_)]
    other_ids = [id_ for id_ in requested_ids if not is_job_id(id_)]
    job_reply = _revoke_jobs(job_ids) if job_ids else None
    celery_reply = (
        _celery_revoke(state, other_ids, terminate, signal, **options) if other_ids or job_reply is None else None
    )
    return _merge_replies([reply for reply in (job_reply, celery_reply) if reply is not None])


@control.control_command(  # type: ignore[untyped-decorator]
    variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [id2 [... [idN]]]]"
)
def terminate(state: Any, signal: Any, task_id: Any, **_: Any) -> Reply:
    """Terminate task by id (or list of ids); a job is cancelled."""
    return revoke(state, task_id, terminate=True, signal=signal)  # type: ignore[no-any-return]


@task_revoked.connect  # type: ignore[untyped-decorator]
def cancel_revoked_job(request: Any, **_: Any) -> None:
    """Celery has dropped a bell as revoked.

    Should Redis have lost the cancel with its last second, the job would wait for ever: recovery rings for it, and
    Celery drops that bell too.
    """
    if is_job_id(request.id):
        _revoke_jobs([request.id])


def _revoke_jobs(job_ids: list[str]) -> Reply:
    """When the cancels fail Celery is told nothing: it would drop the bells of jobs that are still to be done."""
    try:
        outcomes = _cancel_jobs(job_ids)
    except (QueueFull, StoreUnavailable) as error:
        logger.warning("revoke_failed jobs=%d code=%s", len(job_ids), error.code)
        return {"error": error.message}
    _mark_revoked_in_celery(outcomes)
    return {"ok": "; ".join(f"{outcome}: {', '.join(ids)}" for outcome, ids in outcomes.items())}


def _cancel_jobs(job_ids: list[str]) -> dict[str, list[str]]:
    """The ids by the verb's outcome, in one round trip. Raises StoreUnavailable, and QueueFull without memory."""
    settings = get_settings()
    outcomes = _store().run_all([transitions.cancel(job_id, DEFAULT_QUEUE, settings) for job_id in job_ids])
    by_outcome = defaultdict(list)
    for job_id, outcome in zip(job_ids, outcomes, strict=True):
        by_outcome[outcome].append(job_id)
    return dict(by_outcome)


@cache
def _store() -> Store:
    """One for the process and its main thread; the connection ends with them."""
    return Store(connect(get_settings()))


def _mark_revoked_in_celery(outcomes: dict[str, list[str]]) -> None:
    """So `inspect revoked` lists what was cancelled, its bell is dropped, and Flower shows a running one as revoked."""
    cancelled = outcomes.get("cancelled", [])
    worker_state.revoked.update(cancelled)
    for request in [worker_state.requests.get(job_id) for job_id in cancelled]:
        if request in worker_state.active_requests:
            request.send_event("task-revoked", terminated=True, signum=None, expired=False)


def _merge_replies(replies: list[Reply]) -> Reply:
    """One reply; an error is not hidden by what else went well."""
    for status in ("error", "ok"):
        texts = [reply[status] for reply in replies if status in reply]
        if texts:
            return {status: "; ".join(texts)}
    return {}
