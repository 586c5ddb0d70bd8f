"""Logs settings of the Redis server under which accepted jobs can be lost: when they are found, and when they change.

Logs:
    redis_config_unsafe  hazard: a setting of Redis, and its remedy
    redis_config_safe    the settings that were unsafe have been changed
"""

import logging

from jobs.storage.server_info import ServerInfo

logger = logging.getLogger(__name__)


class HazardLog:
    """One for each process that looks again and again."""

    def __init__(self, durability: str) -> None:
        """``durability``: the setting of this program."""
        self._durability = durability
        self._known: tuple[str, ...] = ()

    def look(self, server: ServerInfo) -> None:
        """Log each hazard that is new, and once that there is none any more."""
        found = server.hazards(self._durability)
        for hazard in found:
            if hazard not in self._known:
                logger.warning("redis_config_unsafe hazard=%s", hazard)
        if self._known and not found:
            logger.info("redis_config_safe")
        self._known = found
