"""The client of the suite: submits each job until it is accepted, and records every accepted job."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.errors import QueueFull, StoreUnavailable
from jobs.kinds.chat import ChatTask
from jobs.settings import Settings
from jobs.storage.redis_client import connect
from jobs.storage.sync_store import Store
from tasks.submit import Submitter

ACCEPT_SECONDS = 120.0


@dataclass(frozen=True)
class AcceptedJob:
    """An accepted job. It must fail with one of the codes in ``fails_with``; if there are none, it must be answered."""

    job_id: str
    key: str
    text: str
    fails_with: frozenset[str] = frozenset()
    accepted_at: float = field(default_factory=time.time)


@dataclass(frozen=True)
class JobSpec:
    """A prompt and the answer that the model must give."""

    key: str
    message: str
    text: str


def make_job_spec(seconds: float, extra: str = "", delay: float = 0) -> JobSpec:
    """An answer that streams for `seconds`, a few words per second, after `delay` seconds without output."""
    key = uuid.uuid4().hex
    words = max(2, min(50, round(seconds * 4)))
    interval = seconds / (words - 1)
    message = f"[[offline key={key} tokens={words} interval={interval:.3f} delay={delay:g}]] {extra}hello"
    return JobSpec(key, message, " ".join(f"w{number}" for number in range(words)))


class Client:
    """Submits in this process. ``sent`` contains every accepted job."""

    def __init__(self, redis_url: str) -> None:
        settings = Settings(REDIS_URL=redis_url, CELERY_BROKER_URL=None)
        self.settings = settings
        self.store = Store(connect(settings))
        self._submitter = Submitter(self.store, settings)
        self.sent: list[AcceptedJob] = []

    def submit(
        self,
        seconds: float,
        extra: str = "",
        fails_with: frozenset[str] = frozenset(),
        delay: float = 0,
        **options: Any,
    ) -> AcceptedJob:
        """Submit with one Idempotency-Key until the job is accepted. ``options``: of Submitter.submit."""
        spec = make_job_spec(seconds, extra, delay)
        request = ChatTask(kind="chat", message=spec.message)
        job_id = retry_until_accepted(
            lambda: self._submitter.submit(request, idempotency_key=spec.key, **options).job_id
        )
        return self.record(AcceptedJob(job_id, spec.key, spec.text, fails_with))

    def record(self, job: AcceptedJob) -> AcceptedJob:
        """Remember an accepted job for the verdict."""
        self.sent.append(job)
        return job

    def submit_many(self, count: int, seconds: float) -> list[AcceptedJob]:
        return [self.submit(seconds) for _ in range(count)]

    def close(self) -> None:
        self.store.close()


def retry_until_accepted(submit: Callable[[], str]) -> str:
    """The id of the accepted job. Raises the last error after ACCEPT_SECONDS."""
    deadline = time.monotonic() + ACCEPT_SECONDS
    while True:
        try:
            return submit()
        except (StoreUnavailable, QueueFull):
            if time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.2, 0.6))
