"""Looks at the Redis server while a web process runs: the rights of its user and the settings that can lose jobs.

The health checks report both as well. The log has them even if nobody asks.

Logs:
    rights_missing         missing: what the user of this web process may not do in Redis
    redis_config_unsafe    see jobs/hazard_log.py
    redis_config_unknown   problem: the user may not run INFO
"""

import logging
import time
from typing import Final

from redis.exceptions import RedisError

from api.services import Services
from jobs import lookup
from jobs.errors import QueueFull, RightsMissing, StoreUnavailable
from jobs.hazard_log import HazardLog
from jobs.repeated_problem import RepeatedProblem
from jobs.storage.reply_errors import missing_right
from jobs.storage.server_info import server_info

logger = logging.getLogger(__name__)

_PAUSE_SECONDS: Final = 60.0
_RETRY_SECONDS: Final = 5.0  # while Redis does not answer


class RedisWatch:
    """One for each web process that logs."""

    def __init__(self, app_services: Services) -> None:
        self._store, self._settings = app_services.store, app_services.settings
        self._hazards = HazardLog(self._settings.durability)
        self._rights_problem, self._info_problem = RepeatedProblem(), RepeatedProblem()

    def run_forever(self) -> None:
        while True:
            time.sleep(_PAUSE_SECONDS if self.look() else _RETRY_SECONDS)

    def look(self) -> bool:
        """Look once. Returns whether Redis has answered."""
        return self._look_at_rights() and self._look_at_settings()

    def _look_at_rights(self) -> bool:
        try:
            lookup.require_rights(self._store, self._settings)
        except RightsMissing as error:
            if self._rights_problem.is_new(error.missing):
                logger.critical("rights_missing missing=%r advice=docs/operations.md#rights", error.missing)
        except (StoreUnavailable, QueueFull, RedisError):
            return False
        else:
            self._rights_problem.end()
        return True

    def _look_at_settings(self) -> bool:
        try:
            self._hazards.look(self._store.run(server_info()))
        except (StoreUnavailable, QueueFull, RedisError) as error:
            right = missing_right(error.__cause__)
            if right and self._info_problem.is_new(right):
                logger.warning("redis_config_unknown problem=%r", str(error))
            return right is not None
        self._info_problem.end()
        return True
