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

_TURN_SECONDS: Final = 120  # between two looks, whichever worker takes them
_TICK_SECONDS: Final = 30.0  # between two tries to take a turn
_MOST: Final = 5_000  # models that are kept


class Catalogue:
    """One for each worker process."""

    def __init__(self, worker: str, store: AsyncStore, provider: Provider) -> None:
        self._worker = worker
        self._store = store
        self._provider = provider

    async def run_forever(self) -> None:
        while True:
            try:
                if await self._store.run(transitions.take_models_turn(self._worker, _TURN_SECONDS)):
                    await self._store.run(transitions.note_models(_sound(await self._provider.models())))
            except AttemptError as error:
                logger.info("models_not_listed code=%s", error.code)
            except StoreUnavailable:
                logger.info("catalogue_ends")  # with the process
            await asyncio.sleep(_TICK_SECONDS)


def _sound(models: list[Any]) -> list[dict[str, Any]]:
    return [model for model in models[:_MOST] if isinstance(model, dict) and isinstance(model.get("id"), str)]
