"""Creates many jobs by the storage transition that a submit uses, a thousand per round trip."""

import uuid
from typing import Final

from jobs.kinds.chat import ChatTask
from jobs.models import NewJob
from jobs.settings import Settings
from jobs.storage import transitions
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from jobs.tenant import DEFAULT_TENANT
from tasks import app
from tasks.queue_message import make_message_template

BATCH_SIZE: Final = 1_000


def create_jobs(redis_url: str, count: int, message: str = "Hello") -> list[str]:
    """Create jobs with record and message, as a submit does. Returns their ids."""
    settings = Settings(REDIS_URL=redis_url, CELERY_BROKER_URL=None, max_queued=10 * count, redis_timeout_seconds=10)
    store, message_template = Store(connect(settings)), make_message_template(app, settings)
    request = ChatTask(kind="chat", message=message)
    ids: list[str] = []
    while len(ids) < count:
        jobs = [_job(request, settings) for _ in range(min(BATCH_SIZE, count - len(ids)))]
        store.run_all([transitions.create(job, message_template, settings) for job in jobs])
        ids += [job.job_id for job in jobs]
    store.close()
    return ids


def _job(request: ChatTask, settings: Settings) -> NewJob:
    return NewJob(
        job_id=f"job_{uuid.uuid4().hex}",
        tenant=DEFAULT_TENANT,
        queue=DEFAULT_QUEUE,
        request=request,
        max_attempts=settings.max_attempts,
        deadline_seconds=settings.deadline_seconds,
    )
