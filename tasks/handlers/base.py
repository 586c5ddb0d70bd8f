"""The context of an attempt's work."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from jobs.kinds.base import JobRequest, TextAnswer
from jobs.models import Claim
from tasks.documents.services import DocumentServices
from tasks.handlers.event_writer import EventWriter
from tasks.heartbeat import RunningAttempt
from tasks.provider.providers import ModelCalls
from tasks.provider.timeouts import Timeouts

RequestT = TypeVar("RequestT", bound=JobRequest)


@dataclass
class AttemptContext(Generic[RequestT]):
    """One attempt at a job. ``provider`` is the quarantine after several attempts that lost their worker.

    The job's own call goes to the claim's target, other calls to the first target of their model. ``on_output`` is
    called once, when the job's own call brings its first output; None where nobody waits for that.
    """

    claim: Claim
    request: RequestT
    provider: ModelCalls
    timeouts: Timeouts
    running_attempt: RunningAttempt
    writer: EventWriter
    documents: DocumentServices
    on_output: Callable[[], None] | None = None
    build_partial: Callable[[], Awaitable[TextAnswer]] | None = None  # builds an answer from the text received so far
    started_at: float = field(default_factory=time.monotonic)
    first_output_at: float | None = None

    def note_output(self) -> None:
        if self.first_output_at is None:
            self.first_output_at = time.monotonic()
        if self.on_output is not None:
            self.on_output()
            self.on_output = None

    @property
    def job_id(self) -> str:
        return self.claim.lease.job_id
