"""Submits jobs. The only place where a request becomes a message.

Logs:
    job_accepted  request_id, job_id, kind: a request has created a job
    job_found     request_id, job_id, kind: a request has found the job of an earlier request, whose id is in the record
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Literal, TypeAlias

from jobs import queries
from jobs.errors import NotRetryable, no_such_job
from jobs.kinds import KINDS
from jobs.kinds.base import JobRequest
from jobs.lookup import with_estimate_if_taken
from jobs.models import JobRecord, Lane, NewJob, Place, new_job_id
from jobs.place import place_of
from jobs.request_id import UNKNOWN
from jobs.requests import Limits
from jobs.settings import Settings
from jobs.states import RETRYABLE_STATES
from jobs.storage import transitions
from jobs.storage.commands import Command
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.sync_store import Store
from jobs.tenant import DEFAULT_TENANT, Tenant
from jobs.tenant_store import TenantStore
from jobs.token_estimate import input_tokens, max_output_tokens
from tasks import app
from tasks.broker import OutgoingMessage
from tasks.publisher import BrokerState, Publisher
from tasks.queue_message import make_message_template

logger = logging.getLogger(__name__)

_STATE_SECONDS: Final = 0.5  # that a health check may wait for the broker

SubmitterState: TypeAlias = BrokerState | Literal["record_store"]


class Submitter:
    """Creates jobs and publishes their messages. Opens no connection before the first submit. Thread-safe.

    Where another broker than the record store carries the messages, they are published in the background: a submit
    returns once the record is written, whatever the broker does.
    """

    def __init__(self, store: Store, settings: Settings, request_id: Callable[[], str | None] = lambda: None) -> None:
        """``request_id`` returns the id of the HTTP request that submits, if there is one."""
        self._store = store
        self._request_id = request_id
        self._settings = settings
        self._message_template = make_message_template(app, settings)
        self._publisher = Publisher(app, settings)

    def submit(
        self,
        request: JobRequest,
        *,
        idempotency_key: str | None = None,
        resend_count: int | None = None,
        tenant: Tenant = DEFAULT_TENANT,
        lane: Lane | None = None,
        fair_key: str | None = None,
        id_prefix: str = "job",
        job_id: str | None = None,
    ) -> transitions.Created:
        """Accept a request: once this returns, the job is on record and will reach a final state.

        Raises IdempotencyConflict, ModelNotFound, QueueFull or StoreUnavailable. After StoreUnavailable the job may or
        may not have been written; a submit with the same Idempotency-Key finds out.

        ``resend_count``: how often the client has sent this request before. The key is then shared by equal requests,
        each of which gets its own job. Of the jobs resent less often than this request, a resend finds the one with the
        fewest resends, and of several the latest. If there is none, it gets a new job.

        ``lane``, ``fair_key``: where the job waits; None for what the request says, see place.py.

        ``job_id``: an id that the caller has recorded before. Such a job is created once, no matter how often it is
        submitted.
        """
        job = self._new_job(
            request,
            tenant,
            job_id or new_job_id(id_prefix),
            place_of(request, self._settings, lane, fair_key),
            resend_count=resend_count,
            idempotency_key=idempotency_key,
        )
        return self._create(job)

    def retry(self, store: TenantStore, record: JobRecord) -> transitions.Created:
        """Submit a job of the tenant that has ended without a complete answer again, as a new job.

        May be called repeatedly: only one new job is created, even if it has been deleted since.

        Raises NotRetryable, JobNotFound when the job's request has expired, and the errors of ``submit``.
        """
        if record.state not in RETRYABLE_STATES:
            raise NotRetryable(f"a job that is {record.status} cannot be retried", param="task_id")
        found, values = store.read_job(record.job_id, queries.request)
        if found is None or values[0] is None:
            raise no_such_job("task_id")
        prefix, _, _ = record.job_id.partition("_")
        place = place_of(values[0], self._settings, record.lane, None)
        return self._create(self._new_job(values[0], store.tenant, new_job_id(prefix), place, retry_of=record.job_id))

    def note_found(self, job_id: str, kind: str) -> None:
        """Log that the present request has found the job of an earlier one without a submit."""
        _log("job_found", job_id, kind, self._request_id())

    def broker_state(self) -> SubmitterState:
        """Whether the broker takes messages; waits at most half a second. ``record_store``: Redis is the broker."""
        if self._message_template.publishes_in_store:
            return "record_store"
        return self._publisher.state(_STATE_SECONDS)

    def close(self) -> None:
        """Publish the messages that wait, for at most a second. Recovery publishes the rest."""
        self._publisher.close()

    def _new_job(self, request: JobRequest, tenant: Tenant, job_id: str, place: Place, **fields: Any) -> NewJob:
        limits = request.limits or Limits()
        ttl_seconds = None if request.is_stored else self._settings.unstored_ttl_seconds
        return NewJob(
            job_id=job_id,
            tenant=tenant,
            queue=DEFAULT_QUEUE,
            request=request,
            place=place,
            input_tokens=input_tokens(request, self._settings.document_context_tokens),
            max_output_tokens=max_output_tokens(request),
            max_attempts=limits.max_attempts or self._settings.max_attempts,
            deadline_seconds=limits.deadline_seconds or self._settings.deadline_seconds,
            start_by_seconds=limits.start_by_seconds,
            cancel_after_seconds=limits.cancel_after_seconds,
            result_ttl_seconds=ttl_seconds,
            events_ttl_seconds=self._events_ttl_seconds(request, ttl_seconds),
            request_id=self._request_id(),
            **fields,
        )

    def _events_ttl_seconds(self, request: JobRequest, ttl_seconds: int | None) -> int | None:
        """The lifetime of the event log; None for that of the settings."""
        if KINDS[request.kind].keeps_events_with_answer:
            return ttl_seconds or self._settings.result_ttl_seconds
        return ttl_seconds

    def _create(self, job: NewJob) -> transitions.Created:
        created: transitions.Created
        created, has_taker, *outbox = self._store.run_all(self._commands(job))
        if created.record is not None:
            created = replace(created, record=with_estimate_if_taken(created.record, has_taker))
            _log("job_accepted", created.job_id, job.request.kind, job.request_id)
        else:
            _log("job_found", created.job_id, job.request.kind, job.request_id)
        for job_id in outbox[0] if outbox else ():
            self._publisher.publish(OutgoingMessage(job_id))
        return created

    def _commands(self, job: NewJob) -> list[Command[Any]]:
        create = transitions.create(job, self._message_template, self._settings)
        outbox = [] if self._message_template.publishes_in_store else [transitions.take_outbox()]
        return [create, queries.has_taker(), *outbox]


def _log(event: str, job_id: str, kind: str, request_id: str | None) -> None:
    logger.info("%s request_id=%s job_id=%s kind=%s", event, request_id or UNKNOWN, job_id, kind)
