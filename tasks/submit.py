"""The only place where a request becomes a message."""

import logging
import uuid

from kombu.exceptions import OperationalError

from jobs import verbs
from jobs.keys import DEFAULT_QUEUE
from jobs.models import ChatTask, EmbeddingsTask, Limits, NewJob
from jobs.settings import Settings
from jobs.store import Store
from tasks import app
from tasks.bells import make_bell, ring_through_celery

logger = logging.getLogger(__name__)

DEFAULT_TENANT = "default"


class Submitter:
    """Writes jobs down and rings for them. Opens nothing until the first submit; safe to share between threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._bell = make_bell(app, settings)

    def submit(
        self,
        request: ChatTask | EmbeddingsTask,
        *,
        idempotency_key: str | None = None,
        tenant: str = DEFAULT_TENANT,
        id_prefix: str = "job",
    ) -> verbs.Created:
        """Accept a request: once this returns, the job is on record and will reach a final state.

        Raises IdempotencyConflict, QueueFull or StoreUnavailable; after the last, whether the job was written is not
        known, and the same Idempotency-Key finds out.
        """
        limits = request.limits or Limits()
        job = NewJob(
            job_id=f"{id_prefix}_{uuid.uuid4().hex}",
            tenant=tenant,
            queue=DEFAULT_QUEUE,
            request=request,
            max_attempts=limits.max_attempts or self._settings.max_attempts,
            deadline_seconds=limits.deadline_seconds or self._settings.deadline_seconds,
            idempotency_key=idempotency_key,
        )
        created = self._store.run(verbs.create(job, self._bell, self._settings))
        if created.is_new and not self._bell.rings_in_store:
            self._ring(created.job_id)
        return created

    def _ring(self, job_id: str) -> None:
        """A bell that cannot be rung is no error: the record stands, and recovery rings for it."""
        try:
            ring_through_celery(app, job_id, DEFAULT_QUEUE)
        except OperationalError:
            logger.warning("bell_not_rung job_id=%s", job_id)
