"""A real worker process over the suite's own Redis and the offline model, with short waits."""

import sys
from collections.abc import Iterator

import pytest

from jobs import queries
from jobs.kinds.chat import ChatTask
from jobs.kinds.embeddings import EmbeddingsTask
from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.storage.sync_store import Store
from tasks.submit import Submitter
from tests.support.processes import Process, running
from tests.support.waiting import until

SHORT = {"CHATQUEUE_BACKOFF_BASE_SECONDS": "0.1", "CHATQUEUE_PROVIDER_IDLE_SECONDS": "1"}


@pytest.fixture(scope="module")
def worker(redis_url: str, model_url: str, processes: None) -> Iterator[Process]:
    """`celery -A tasks worker`, shared by the tests of a module."""
    env = {"REDIS_URL": redis_url, "OPENAI_BASE_URL": model_url, "OPENAI_API_KEY": "sk-canary-key", **SHORT}
    args = [sys.executable, "-m", "celery", "-A", "tasks", "worker", "--loglevel", "DEBUG"]
    with running(args, ready=" ready.", env=env) as process:
        yield process


class Client:
    """Submits jobs and reads their records, as the web process does."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self._submitter = Submitter(store, settings)

    def submit(self, message: str, **options) -> str:
        return self._submitter.submit(ChatTask(kind="chat", message=message), **options).job_id

    def embed(self, *texts: str) -> str:
        return self._submitter.submit(EmbeddingsTask(kind="embeddings", input=texts)).job_id

    def record(self, job_id: str) -> JobRecord:
        record = self.store.run(queries.record(job_id))
        assert record is not None
        return record

    def streamed(self, job_id: str) -> int:
        """How many tokens of the running attempt are in the event log."""
        usage = self.record(job_id).usage
        return usage.output_tokens if usage else 0

    def ended(self, job_id: str, seconds: float = 15.0) -> JobRecord:
        until(lambda: self.record(job_id).state.is_final, seconds)
        return self.record(job_id)

    def outcome(self, job_id: str):
        return self.store.run(queries.outcome(job_id))


@pytest.fixture
def client(store: Store, settings: Settings) -> Client:
    return Client(store, settings)
