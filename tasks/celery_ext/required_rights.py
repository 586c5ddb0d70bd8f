"""Checks the rights of a worker's Redis user before the worker takes jobs."""

from redis.exceptions import RedisError

from jobs.errors import QueueFull, StoreUnavailable
from jobs.settings import Settings
from jobs.storage.reply_errors import missing_right
from jobs.storage.rights import in_words, missing_rights
from jobs.storage.sync_store import Store


class WorkerLacksRights(Exception):
    """The message names the missing rights. Not a RedisError: waiting does not help."""


class RequiredRights:
    """One for each worker. The rights are looked at until Redis has answered once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._are_known = False

    def require(self) -> None:
        """Raises WorkerLacksRights. Returns if the rights are there, and if Redis cannot be asked now."""
        if self._are_known:
            return
        store = Store.open(self._settings)
        try:
            missing = store.run(missing_rights("worker", self._settings))
        except (StoreUnavailable, QueueFull, RedisError) as error:
            right = missing_right(error.__cause__)
            if right is not None:
                raise WorkerLacksRights(right) from None
            return
        finally:
            store.close()
        if missing:
            raise WorkerLacksRights(in_words(missing))
        self._are_known = True
