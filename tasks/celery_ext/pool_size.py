"""Celery's ``pool_grow``, ``pool_shrink`` and ``autoscale``, with limits: a pool keeps a slot and stays affordable.

Celery accepts any number: a pool below zero never takes a job again, and prefork starts as many processes as asked.

Only workers load this module.
"""

from typing import Any, Final, TypeAlias

from celery.worker import control

from guards.file_limit import fitting

Reply: TypeAlias = dict[str, str]  # Celery's format: {"ok": result} or {"error": reason}

FILES_PER_SLOT: Final = 2  # the connection to the provider, and one to spare
_MAX_SLOTS: Final = 10_000  # of an asyncio pool; 20 times the default, and more than one provider connection each
_MAX_PROCESSES: Final = 256  # of a prefork pool; about 100 MB each

_celery_grow, _celery_shrink, _celery_autoscale = control.pool_grow, control.pool_shrink, control.autoscale


@control.control_command(args=[("n", int)], signature="[N=1]")  # type: ignore[untyped-decorator]
def pool_grow(state: Any, n: Any = 1, **_: Any) -> Reply:
    """Grow pool by n slots."""
    pool = state.consumer.pool
    problem = find_problem(n, pool.num_processes, +1, _limit(pool))
    return _refuse(problem) if problem else _resize(state, _celery_grow, n)


@control.control_command(args=[("n", int)], signature="[N=1]")  # type: ignore[untyped-decorator]
def pool_shrink(state: Any, n: Any = 1, **_: Any) -> Reply:
    """Shrink pool by n slots, to 1 at the least."""
    pool = state.consumer.pool
    problem = find_problem(n, pool.num_processes, -1, _limit(pool))
    return _refuse(problem) if problem else _resize(state, _celery_shrink, n)


@control.control_command(args=[("max", int), ("min", int)], signature="[max [min]]")  # type: ignore[untyped-decorator]
def autoscale(state: Any, max: Any = None, min: Any = None, **_: Any) -> Reply:  # noqa: A002  # Celery's signature
    """Modify autoscale settings."""
    limit = _limit(state.consumer.pool)
    problems = [find_problem(size, 0, +1, limit) for size in (max, min) if size is not None]
    problem = next(filter(None, problems), None)
    return _refuse(problem) if problem else _celery_autoscale(state, max, min)


def find_problem(n: Any, size: int, direction: int, limit: int | None) -> str | None:
    """Pure: why a pool of this size must not change by ``n`` slots; None if it may.

    ``limit``: the largest size; None for a pool that Celery cannot resize.
    """
    if limit is None:
        return "this pool cannot be resized: restart the worker with another --concurrency"
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        return "the number of slots must be a whole number, 1 or more"
    if size + direction * n < 1:
        return f"the pool has {size} slots and must keep at least 1"
    if size + direction * n > limit:
        return f"the pool has {size} slots and may have at most {limit}"
    return None


def _limit(pool: Any) -> int | None:
    if not hasattr(pool, "grow"):  # Celery's threads and solo
        return None
    return _MAX_PROCESSES if pool.uses_semaphore else fitting(_MAX_SLOTS, FILES_PER_SLOT)


def _resize(state: Any, resize: Any, n: int) -> Reply:
    """Prefork may find too few idle processes, after it has ended some of them."""
    consumer = state.consumer
    before = consumer.pool.num_processes
    try:
        return resize(state, n)  # type: ignore[no-any-return]
    except ValueError:
        ended = before - consumer.pool.num_processes
        if ended:
            consumer._update_prefetch_count(-ended)  # noqa: SLF001  # as Celery's own command does
        return _refuse(f"only {ended} of {n} processes were idle and ended; try again when jobs have ended")


def _refuse(reason: str) -> Reply:
    return {"error": reason}
