"""Jobs driven by the transitions alone: no worker, no web process."""

import asyncio
import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from jobs import queries
from jobs.kinds.chat import ChatAnswer, ChatTask
from jobs.models import Claim, JobRecord, Lease, NewJob
from jobs.priorities import Priority
from jobs.results import JobError, Usage
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import keys, transitions
from jobs.storage.async_store import AsyncStore
from jobs.storage.keys import DEFAULT_QUEUE
from jobs.storage.message_template import MessageTemplate
from jobs.storage.redis_client import connect_async
from jobs.storage.sync_store import Store
from jobs.storage.worker_reports import report_worker
from tasks import app
from tasks.maintenance.recovery import Recovery
from tasks.publisher import Publisher
from tests.support.workers import worker_status

ANSWER = ChatAnswer(text="forty-two", model="m", finish_reason="stop", usage=None)
USAGE = Usage.estimate(input_chars=8, deltas=1)
ERROR = JobError(code="provider_unavailable", message="the provider answered 503")


class Driver:
    """Short names for the transitions that the tests use most."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.settings = settings
        self.message_template = MessageTemplate(
            DEFAULT_QUEUE, normal='{"id":"{id}","tag":"{tag}"}', high='{"id":"{id}","tag":"{tag}"}'
        )

    def new_job(
        self, key: str | None = None, message: str = "hello", max_attempts: int = 4, deadline_seconds: float = 3_600
    ) -> NewJob:
        return NewJob(
            job_id=f"job_{uuid.uuid4().hex}",
            tenant="default",
            queue=DEFAULT_QUEUE,
            request=ChatTask(kind="chat", message=message),
            max_attempts=max_attempts,
            deadline_seconds=deadline_seconds,
            idempotency_key=key,
        )

    def create(self, job: NewJob | None = None) -> str:
        return self.store.run(transitions.create(job or self.new_job(), self.message_template, self.settings)).job_id

    def claim(self, job_id: str, claim_id: str | None = None) -> transitions.ClaimResult:
        command = transitions.claim(
            job_id, claim_id or uuid.uuid4().hex, "worker", self.message_template, self.settings
        )
        return self.store.run(command)

    def lease(self, job_id: str | None = None) -> Lease:
        claim = self.claim(job_id or self.create())
        assert isinstance(claim, Claim)
        return claim.lease

    def append(self, lease: Lease, *texts: str, log_length: int | None = None) -> int | transitions.Behind | None:
        length = lease.log_length if log_length is None else log_length
        return self.store.run(
            transitions.append(
                lease, transitions.PendingEvents(length, tuple(map(transitions.delta_event, texts))), USAGE
            )
        )

    def finish(self, lease: Lease, state: State = State.COMPLETED) -> bool | transitions.Behind:
        return self.store.run(transitions.finish(lease, ANSWER, state, self.settings))

    def fail(self, lease: Lease, precondition: transitions.FinishPrecondition = "holder") -> bool | transitions.Behind:
        return self.store.run(transitions.fail(lease, ERROR, None, self.settings, precondition))

    def release(
        self, lease: Lease, wait_seconds: float = 0, how: transitions.AttemptEnd = "failures"
    ) -> int | transitions.Behind | None:
        return self.store.run(transitions.release(lease, ERROR, wait_seconds, self.message_template, how))

    def cancel(self, job_id: str) -> str:
        return self.store.run(transitions.cancel(job_id, DEFAULT_QUEUE, self.settings))

    def delete(self, job_id: str) -> str:
        return self.store.run(transitions.delete(job_id, self.store.run(queries.record(job_id))))

    def republish(self, job_id: str, lost_after_seconds: float = 3_600) -> str:
        return self.store.run(transitions.republish(job_id, self.message_template, lost_after_seconds))

    def undelivered(self, priority: Priority = "normal", messages_left: int | None = None) -> list[str]:
        return self.store.run(transitions.undelivered(self.message_template, priority, messages_left, 100))

    def renew(self, *leases: Lease) -> frozenset[str]:
        return self.store.run(transitions.renew("worker", list(leases), self.settings))

    def report_worker(self, **status: Any) -> None:
        self.store.run(report_worker(worker_status(**status), self.message_template, self.settings))

    def recover(self) -> None:
        """Run one tick of recovery."""

        async def tick():
            store = AsyncStore(connect_async(self.settings))
            publisher = Publisher(app, self.settings)
            try:
                await Recovery("w", store, self.message_template, publisher, self.settings).tick()
            finally:
                publisher.close()
                await store.close()

        asyncio.run(tick())

    def record(self, job_id: str) -> JobRecord:
        record = self.store.run(queries.record(job_id))
        assert record is not None
        return record

    def in_state(self, state: State) -> str:
        """A job in this state, reached through legal transitions."""
        job_id = self.create()
        if state is State.QUEUED:
            return job_id
        if state is State.CANCELLED:
            assert self.cancel(job_id) == "cancelled"
            return job_id
        lease = self.lease(job_id)
        if state is State.FAILED:
            assert self.fail(lease)
        elif state.is_final:
            assert self.finish(lease, state)
        return job_id


def run_together(*calls):
    """Run the calls in threads that start simultaneously. Returns their results in order."""
    barrier = Barrier(len(calls))

    def start(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(start, calls))


def index_of(redis_client, job_id):
    """The states whose index contains the job. It must be exactly one: the job's own."""
    return [state for state in State if redis_client.zscore(keys.index(state), job_id) is not None]


def logged_events(redis_client, job_id):
    return [json.loads(line) for line in redis_client.lrange(keys.events(job_id), 0, -1)]


@pytest.fixture
def jobs(store: Store, settings: Settings) -> Driver:
    return Driver(store, settings)
