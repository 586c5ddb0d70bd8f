"""What pytest-celery asks of Docker, answered with local processes: for machines where no daemon answers."""

from tests.local_engine.engine import LocalEngine
from tests.local_engine.image import LocalImage
from tests.local_engine.waiting import wait_until

__all__ = ["LocalEngine", "LocalImage", "wait_until"]
