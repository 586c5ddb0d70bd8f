"""The model list: one worker at a time asks the provider for its models and stores the list for the web process.

The web process has no provider client. It reads the list from Redis, which answers immediately, even while the
provider is unreachable.

Survives running twice or late: the list is replaced as a whole, and it outlives an outage of the provider.

Logs:
    model_list_failed   code: the provider did not return its models; the next turn tries again
    model_list_stopped  the process ends while Redis is unreachable
"""

import asyncio
import logging
from typing import Any, Final

from jobs.errors import AttemptError, StoreUnavailable
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from tasks.provider.providers import Providers

logger = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 120  # between two refreshes, whichever worker makes them
_TICK_SECONDS: Final = 30.0  # between two attempts to take a turn
_MAX_MODELS: Final = 5_000  # further models are dropped


class ModelListRefresher:
    """One for each worker process."""

    def __init__(self, worker: str, store: AsyncStore, provider: Providers) -> None:
        self._worker = worker
        self._store = store
        self._provider = provider

    async def run_forever(self) -> None:
        while True:
            try:
                if await self._store.run(transitions.claim_model_list_turn(self._worker, _REFRESH_SECONDS)):
                    await self._store.run(transitions.save_models(_valid_models(await self._provider.models())))
            except AttemptError as error:
                logger.info("model_list_failed code=%s", error.code)
            except StoreUnavailable:
                logger.info("model_list_stopped")
            await asyncio.sleep(_TICK_SECONDS)


def _valid_models(models: list[Any]) -> list[dict[str, Any]]:
    return [model for model in models[:_MAX_MODELS] if isinstance(model, dict) and isinstance(model.get("id"), str)]
