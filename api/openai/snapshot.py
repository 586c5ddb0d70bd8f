"""A conversation at one moment: the job, its request and its outcome."""

from dataclasses import dataclass, field
from typing import Any

from jobs import queries
from jobs.errors import no_such_job
from jobs.kinds import CONVERSATION_KINDS
from jobs.kinds.base import Conversation, TextAnswer
from jobs.models import JobRecord, JobView, is_job_id
from jobs.results import JobError
from jobs.storage.commands import Command
from jobs.storage.sync_store import Store


@dataclass(frozen=True)
class JobSnapshot:
    record: JobRecord
    request: Conversation = field(repr=False)
    answer: TextAnswer | None = field(default=None, repr=False)
    error: JobError | None = None

    @property
    def created_at(self) -> int:
        """Time of submission in Unix seconds."""
        return self.record.created_at_ms // 1000

    @property
    def model(self) -> str | None:
        return (self.answer.model if self.answer else None) or self.record.model


def snapshot_of(view: JobView, request: Conversation) -> JobSnapshot:
    answer = view.answer if isinstance(view.answer, TextAnswer) else None
    return JobSnapshot(view.record, request, answer, view.error)


def find_snapshot(store: Store, job_id: str, param: str = "response_id") -> JobSnapshot:
    """Any conversation, whichever API created it. Raises JobNotFound, RequestUnreadable, StoreUnavailable."""
    if not is_job_id(job_id):
        raise no_such_job(param)
    commands: list[Command[Any]] = [queries.record(job_id), queries.outcome(job_id), queries.request(job_id)]
    record, (answer, error), request = store.run_all(commands)
    if record is None or not isinstance(request, Conversation):
        raise no_such_job(param)
    is_final = record.state.is_final
    return snapshot_of(
        JobView(record=record, answer=answer if is_final else None, error=error if is_final else None), request
    )


def find_record(store: Store, job_id: str, param: str = "response_id") -> JobRecord:
    """The record alone, for a conversation whose request may be unreadable. Raises JobNotFound, StoreUnavailable."""
    record = store.run(queries.record(job_id)) if is_job_id(job_id) else None
    if record is None or record.kind not in CONVERSATION_KINDS:
        raise no_such_job(param)
    return record
