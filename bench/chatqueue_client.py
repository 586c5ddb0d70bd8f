"""chatqueue without its web process: jobs are submitted in process and awaited with Celery's ``AsyncResult``."""

from functools import cache

from celery import Celery

from jobs.kinds.chat import ChatTask
from jobs.settings import get_settings
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tasks.submit import Submitter


@cache
def _submitter() -> Submitter:
    settings = get_settings()
    return Submitter(Store(connect(settings)), settings)


@cache
def _celery_client() -> Celery:
    return Celery(backend=get_settings().record_url.get_secret_value(), set_as_current=False)


def ask(message: str) -> str:
    """Submit a job and wait for its answer."""
    job_id = _submitter().submit(ChatTask(kind="chat", message=message)).job_id
    return str(_celery_client().AsyncResult(job_id).get(timeout=30)["text"])
