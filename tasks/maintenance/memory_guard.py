"""The memory guard: a Redis that is nearly full accepts no new jobs, so that running jobs can still finish.

Survives running late or never: the refusal expires by itself. Survives running twice: it only extends the refusal.

Logs:
    redis_config_unsafe  hazard: a setting of Redis under which accepted jobs can be lost, and its remedy
"""

import logging
from typing import Final

from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.server_info import server_info
from tasks.maintenance.tick import Tick

logger = logging.getLogger(__name__)

_REFUSE_SECONDS: Final = 5  # renewed by each tick that finds Redis nearly full


async def log_unsafe_configuration(store: AsyncStore, settings: Settings) -> None:
    for hazard in (await store.run(server_info())).hazards(settings.durability):
        logger.warning("redis_config_unsafe hazard=%s", hazard)


async def refuse_submits_when_full(tick: Tick) -> None:
    if tick.server.is_fuller_than(tick.settings.max_memory_percent):
        await tick.store.run(transitions.refuse_submits(_REFUSE_SECONDS))
