"""Which models the provider has: asked now and then by one of the workers, and left where the web reads it.

The web cannot ask: it knows no provider. A list in Redis is answered at once, also while the provider is away.
"""

import asyncio
import logging
from typing import Any, Final

from jobs.errors import AttemptError, StoreUnavailable
from jobs.storage import transitions
from jobs.storage.async_store import AsyncStore
from tasks.provider.client import Provider

logger = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 120  # between two looks, whichever worker takes them
_TICK_SECONDS: Final = 30.0  # between two tries to take a turn
_MAX_MODELS: Final = 5_000  # models that are kept


class ModelListRefresher:
    """One for each worker process."""

    def __init__(self, worker: str, store: AsyncStore, provider: Provider) -> None:
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
                logger.info("model_list_stopped")  # with the process
            await asyncio.sleep(_TICK_SECONDS)


def _valid_models(models: list[Any]) -> list[dict[str, Any]]:
    return [model for model in models[:_MAX_MODELS] if isinstance(model, dict) and isinstance(model.get("id"), str)]
