"""A conversation at one moment: the job, its request and its outcome."""

from dataclasses import dataclass, field

from jobs import lookup, queries
from jobs.errors import RequestUnreadable, no_such_job
from jobs.kinds import CONVERSATION_KINDS, KINDS
from jobs.kinds.base import Conversation, TextAnswer
from jobs.kinds.response import ResponseTask
from jobs.models import JobRecord, JobView
from jobs.results import JobError
from jobs.states import State
from jobs.tenant_store import TenantStore


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
    def lost_answer(self) -> JobError | None:
        """Why a job that ended with an answer has none; None for any other job."""
        return self.error if self.record.state in (State.COMPLETED, State.INCOMPLETE) else None

    @property
    def model(self) -> str | None:
        return (self.answer.model if self.answer else None) or self.record.model


def snapshot_of(view: JobView, request: Conversation) -> JobSnapshot:
    answer = view.answer if isinstance(view.answer, TextAnswer) else None
    return JobSnapshot(view.record, request, answer, view.error)


def find_snapshot(store: TenantStore, job_id: str, param: str = "response_id") -> JobSnapshot:
    """Any conversation, whichever API created it. Raises JobNotFound, RequestUnreadable, StoreUnavailable."""
    snapshot, has_request = _find(store, job_id, param)
    if not has_request:
        raise RequestUnreadable(
            "the stored request is gone: it has expired, or Redis has evicted or lost it", param=param
        )
    return snapshot


def find_snapshot_to_show(store: TenantStore, job_id: str, param: str = "response_id") -> JobSnapshot:
    """As ``find_snapshot``. If the request of a final job is gone, its answer is still shown."""
    snapshot, has_request = _find(store, job_id, param)
    return snapshot if has_request or snapshot.record.is_final else find_snapshot(store, job_id, param)


def _find(store: TenantStore, job_id: str, param: str) -> tuple[JobSnapshot, bool]:
    """The snapshot, and whether the request exists."""
    record, values = store.read_job(job_id, queries.outcome, queries.request)
    if record is None:
        raise no_such_job(param)
    outcome, request = values
    if not isinstance(request, Conversation | None):
        raise no_such_job(param)
    if request is None and record.kind in KINDS.keys() - CONVERSATION_KINDS:
        raise no_such_job(param)
    shown_request = without_request(record).request if request is None else request
    if request is None:
        lookup.require_existing(store, job_id, param)
    view = lookup.final_view(store, record, outcome, param) if record.is_final else JobView(record=record)
    return snapshot_of(view, shown_request), request is not None


def find_record(store: TenantStore, job_id: str, param: str = "response_id") -> JobRecord:
    """The record alone, for a conversation that may be unreadable. Raises JobNotFound, StoreUnavailable."""
    record, _ = store.read_job(job_id)
    if record is None or record.kind in KINDS.keys() - CONVERSATION_KINDS:
        raise no_such_job(param)
    return record


def without_request(record: JobRecord) -> JobSnapshot:
    """The part of a conversation that can be shown although its request is unreadable."""
    return JobSnapshot(record, ResponseTask(kind="response", model=None, body={}, background=True))
