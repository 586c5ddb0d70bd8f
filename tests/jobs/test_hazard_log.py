"""A hazard of the Redis server is logged when it is found and when it is gone, not each time that somebody looks."""

import logging

from jobs.hazard_log import HazardLog
from tests.jobs.storage.test_server_info import SAFE

EVICTS = SAFE.model_copy(update={"maxmemory_policy": "allkeys-lru"})
EVICTS_AND_KEEPS_NOTHING = EVICTS.model_copy(update={"has_append_only_file": False})


def test_only_changes_are_logged(caplog):
    """The leader of the maintenance looks twice a second."""
    caplog.set_level(logging.INFO)
    log = HazardLog("auto")
    for server in (
        SAFE,
        EVICTS,
        EVICTS,
        EVICTS_AND_KEEPS_NOTHING,
        EVICTS_AND_KEEPS_NOTHING,
        EVICTS,
        SAFE,
        SAFE,
        EVICTS,
    ):
        log.look(server)

    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[0] for line in lines] == [
        *["redis_config_unsafe"] * 2,
        "redis_config_safe",
        "redis_config_unsafe",
    ]
    assert ["noeviction" in line for line in lines] == [True, False, False, True]
    assert "appendonly yes" in lines[1]
