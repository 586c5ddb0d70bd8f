"""Starts the launcher in tests: on free ports, with its own data folder, without the developer's servers."""

import sys

from tests.support.processes import free_port

COMMAND = [sys.executable, "-m", "cli", "up"]
ALL_UP = "chatqueue is running"
PORTS = (
    "CHATQUEUE_WEB_PORT",
    "CHATQUEUE_FLOWER_PORT",
    "CHATQUEUE_EMBEDDED_REDIS_PORT",
    "CHATQUEUE_OFFLINE_MODEL_PORT",
)
_CLEARED = ("REDIS_URL", "CELERY_BROKER_URL", "OPENAI_API_KEY", "OPENAI_BASE_URL")


def environment(data_dir):
    """Variables to add to the environment of this process."""
    return {
        **dict.fromkeys(_CLEARED, ""),
        **{name: str(free_port()) for name in PORTS},
        "CHATQUEUE_DATA_DIR": str(data_dir),
        "CHATQUEUE_GRACE_SECONDS": "10",
    }
