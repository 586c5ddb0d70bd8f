"""The leader lock: one of all workers does the maintenance.

The lock spares Redis repeated work. It is no mutual exclusion: a leader that is slow or cut off loses the lock and
may still be working when the next leader starts. So every maintenance task must survive running twice, also
simultaneously.

Logs:
    maintenance_failed  task, error: a run raised; it is repeated after the usual interval, and logged when it changes
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from jobs.repeated_problem import RepeatedProblem
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore

logger = logging.getLogger(__name__)

_LOCK_MS: Final = 2_000  # longer than a tick of recovery usually takes; a dead leader is replaced after this time


async def run_while_leader(
    worker: str,
    store: AsyncStore,
    task: str,
    run: Callable[[], Awaitable[float | None]],
    interval_seconds: float,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> NoReturn:
    """Await ``run`` once per interval if this worker is the leader, or sooner if it returns after how many seconds.

    ``worker`` is its name in the lock, ``task`` the name in the log. ``sleep`` waits for
    so many seconds, or until there is a reason to look again.
    """
    problem = RepeatedProblem()
    while True:
        pause = None
        try:
            if await store.run(transitions.become_leader(worker, _LOCK_MS)):
                pause = await run()
        except Exception as error:  # noqa: BLE001  # one failure must not end the maintenance of this worker
            if problem.is_new(type(error).__name__):
                logger.warning("maintenance_failed task=%s error=%s", task, type(error).__name__)
        else:
            problem.end()
        await sleep(interval_seconds if pause is None else min(pause, interval_seconds))
