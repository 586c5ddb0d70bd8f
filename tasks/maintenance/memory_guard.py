"""The memory guard: a Redis that is nearly full accepts no new jobs, so that running jobs can still finish.

Survives running late or never: the refusal expires by itself. Survives running twice: it only extends the refusal.
"""

from typing import Final

from jobs.storage import transitions
from tasks.maintenance.tick import Tick

_REFUSE_SECONDS: Final = 5  # renewed by each tick that finds Redis nearly full


async def refuse_submits_when_full(tick: Tick) -> None:
    if tick.server.is_fuller_than(tick.settings.max_memory_percent):
        await tick.store.run(transitions.refuse_submits(_REFUSE_SECONDS))
