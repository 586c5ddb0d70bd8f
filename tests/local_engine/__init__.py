"""A substitute for the Docker client of pytest-celery that runs local processes, for machines without Docker."""

from tests.local_engine.engine import LocalEngine
from tests.local_engine.image import LocalImage
from tests.local_engine.waiting import wait_until

__all__ = ["LocalEngine", "LocalImage", "wait_until"]
