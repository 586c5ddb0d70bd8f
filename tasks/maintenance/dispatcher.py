"""The dispatcher: publishes jobs whose target opens with time.

Every transition that frees a slot or a call dispatches by itself. But a limit of 60 calls a minute opens once a second
without any transition. The leader asks when that is and comes back then.

Survives running twice, late or in two workers: a dispatch publishes only for free slots and open targets.
"""

from typing import Final

from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from tasks.maintenance.leader import run_while_leader
from tasks.outbox import Outbox

_TICK_SECONDS: Final = 0.5
_MIN_PAUSE_SECONDS: Final = 0.005  # several calls may start together then: 200 dispatches a second at most


class Dispatcher:
    """One for each worker process; ``worker`` is its name in the leader lock."""

    def __init__(self, worker: str, store: AsyncStore, queue: str, outbox: Outbox) -> None:
        self._worker = worker
        self._store = store
        self._queue = queue
        self._outbox = outbox

    async def run_forever(self) -> None:
        await run_while_leader(self._worker, self._store, "dispatch", self.dispatch, _TICK_SECONDS)

    async def dispatch(self) -> float | None:
        """Dispatch once. Returns the seconds until it may have an effect again; None if that is unknown."""
        pause = await self._store.run(transitions.dispatch(self._queue))
        await self._outbox.publish()
        return None if pause is None else max(pause, _MIN_PAUSE_SECONDS)
