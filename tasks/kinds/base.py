"""What the work of an attempt may use."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from jobs.kinds.base import JobRequest, TextAnswer
from jobs.models import Claim
from tasks.documents.services import DocumentServices
from tasks.event_writer import EventWriter
from tasks.leases import RunningAttempt
from tasks.provider.client import Provider
from tasks.provider.quarantine import Quarantine
from tasks.provider.timeouts import Timeouts

RequestT = TypeVar("RequestT", bound=JobRequest)


@dataclass
class AttemptContext(Generic[RequestT]):
    """One attempt at a job. ``provider`` is the quarantine for a job whose attempts have ended with their worker."""

    claim: Claim
    request: RequestT
    provider: Provider | Quarantine
    timeouts: Timeouts
    running_attempt: RunningAttempt
    writer: EventWriter
    documents: DocumentServices
    build_partial: Callable[[], Awaitable[TextAnswer]] | None = None  # the answer of the text received so far

    @property
    def job_id(self) -> str:
        return self.claim.lease.job_id
