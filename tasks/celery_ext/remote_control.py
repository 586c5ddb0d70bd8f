"""Celery's own ``revoke`` and ``terminate`` cancel jobs: queued and running ones, on every pool.

Celery itself ignores a plain revoke of a running task. To ``terminate`` a task it kills the process or greenlet that
runs it, which the threads pool cannot do. Here a worker that receives either command cancels the job in its record,
which closes the running call wherever it is; nothing is killed. Every worker receives the command and does the same,
because a cancel may be repeated any number of times. Ids that are not job ids go to Celery unchanged.

On ``-P solo`` a worker receives remote control only between its jobs: a revoke of the running job arrives when the job
has ended, unless there is a worker on another pool. A cancel over HTTP stops the job within a second, as on any pool.

Only workers load this module.

Logs:
    revoke_failed  jobs (their number), code: Redis refused the cancels or is unreachable
"""

import logging
import re
from collections import defaultdict
from functools import cache
from typing import Any, Final, TypeAlias

from celery.signals import task_revoked
from celery.utils.functional import maybe_list
from celery.worker import control
from celery.worker import state as worker_state
from redis.exceptions import RedisError

from jobs.errors import QueueFull, StoreUnavailable
from jobs.models import is_job_id
from jobs.settings import get_settings
from jobs.storage import transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.reply_errors import short_reply
from jobs.storage.sync_store import Store

logger = logging.getLogger(__name__)

Reply: TypeAlias = dict[str, str]  # Celery's format: {"ok": result} or {"error": reason}

_celery_revoke = control.revoke
_celery_stats = control.stats
_PASSWORD: Final = re.compile(r"(\w+://[^:@/\s]*:)[^@/\s]*@")


@control.control_command(variadic="task_id", signature="[id1 [id2 [... [idN]]]]")  # type: ignore[untyped-decorator]
def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **options: Any) -> Reply:
    """Revoke task by id (or list of ids); a job is cancelled, even while it runs."""
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


@control.inspect_command()  # type: ignore[untyped-decorator]
def stats(state: Any, **options: Any) -> Any:
    """Request worker statistics/information."""
    return mask_passwords(_celery_stats(state, **options))


def mask_passwords(value: Any) -> Any:
    """The value with ``**`` in place of each password in a URL. kombu calls a URL with a socket the host's name."""
    if isinstance(value, str):
        return _PASSWORD.sub(r"\1**@", value)
    if isinstance(value, dict):
        return {name: mask_passwords(part) for name, part in value.items()}
    return [mask_passwords(part) for part in value] if isinstance(value, list | tuple) else value


@task_revoked.connect  # type: ignore[untyped-decorator]
def cancel_revoked_job(request: Any, **_: Any) -> None:
    """Celery has dropped a message as revoked: cancel its job once more.

    If Redis lost the cancel when it crashed, the job would wait for ever: recovery would republish its message, and
    Celery would drop that too.
    """
    if is_job_id(request.id):
        _revoke_jobs([request.id])


def _revoke_jobs(job_ids: list[str]) -> Reply:
    """Cancel the jobs. After a failure nothing is marked as revoked: Celery would drop messages still needed."""
    requests = [worker_state.requests.get(job_id) for job_id in job_ids]
    running = [request for request in requests if request in worker_state.active_requests]  # a cancel ends them soon
    try:
        outcomes = _cancel_jobs(job_ids)
    except (QueueFull, StoreUnavailable) as error:
        logger.warning("revoke_failed jobs=%d code=%s", len(job_ids), error.code)
        return {"error": error.message}
    except RedisError as error:  # its text may quote keys, and Celery would log it with a traceback
        logger.warning("revoke_failed jobs=%d code=%s", len(job_ids), short_reply(error))
        return {"error": f"Redis refuses to cancel ({short_reply(error)}); the other jobs may be cancelled"}
    _mark_revoked_in_celery(outcomes.get("cancelled", []), running)
    return {"ok": "; ".join(f"{outcome}: {', '.join(ids)}" for outcome, ids in outcomes.items())}


def _cancel_jobs(job_ids: list[str]) -> dict[str, list[str]]:
    """The ids by outcome of the cancel, in one round trip.

    Raises StoreUnavailable, QueueFull when Redis is out of memory, and RedisError when a record is damaged.
    """
    settings = get_settings()
    outcomes = _store().run_all([transitions.cancel(job_id, DEFAULT_QUEUE, settings) for job_id in job_ids])
    by_outcome = defaultdict(list)
    for job_id, outcome in zip(job_ids, outcomes, strict=True):
        by_outcome[outcome].append(job_id)
    return dict(by_outcome)


@cache
def _store() -> Store:
    """The store of this process, used on its main thread. Its connection ends with the process."""
    return Store.open(get_settings())


def _mark_revoked_in_celery(cancelled: list[str], running: list[Any]) -> None:
    """Mark the cancelled jobs: `inspect revoked` lists them, Celery drops their messages, Flower shows running ones."""
    worker_state.revoked.update(cancelled)
    for request in running:
        if request.id in cancelled:
            request.send_event("task-revoked", terminated=True, signum=None, expired=False)


def _merge_replies(replies: list[Reply]) -> Reply:
    """One reply; an error takes precedence over a success."""
    for status in ("error", "ok"):
        texts = [reply[status] for reply in replies if status in reply]
        if texts:
            return {status: "; ".join(texts)}
    return {}
