"""The transitions that end or delete a job at a caller's request."""

from typing import Final

from jobs.kinds import CONVERSATION_KINDS
from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.states import State
from jobs.storage import celery_result, keys
from jobs.storage.commands import Command, script_command, text
from jobs.storage.transitions.shared_arguments import event_json, finalize_args, finalize_keys
from jobs.tenant import DEFAULT_TENANT, Tenant

_TEXT_KINDS: Final = sorted(CONVERSATION_KINDS)  # a job of these kinds keeps the text of its last attempt


def cancel(job_id: str, queue: str, settings: Settings) -> Command[str]:
    """Cancel a job, readable or not. Returns cancelled, final (the job ended in another way) or gone."""
    return script_command(
        "cancel",
        keys=finalize_keys(job_id, queue, State.CANCELLED),
        args={
            **finalize_args(job_id, settings),
            "open_meta": celery_result.revoked_prefix(job_id),
            "event": event_json(State.CANCELLED),
            "stop_channel": keys.CANCELLED_CHANNEL,
            "text_kinds": _TEXT_KINDS,
        },
        read=text,
        must_be_safe=True,
    )


def delete(job_id: str, record: JobRecord | None, tenant: Tenant = DEFAULT_TENANT) -> Command[str]:
    """Remove a job that has ended. Returns deleted, active (cancel the job first) or gone.

    With ``record``, the job's Idempotency-Key is freed too. It is None for a record that has expired or is lost. Then
    ``tenant`` may name another tenant than the default one, in whose index the job is.
    """
    idempotency, queue = None, record.queue if record is not None else keys.DEFAULT_QUEUE
    if record is not None and record.idempotency is not None:
        idempotency = keys.idempotency(record.tenant, record.idempotency)
    return script_command(
        "delete",
        keys={
            "namespace": keys.NAMESPACE,
            "job": keys.job(job_id),
            "request": keys.request(job_id),
            "log": keys.events(job_id),
            "attempts": keys.attempts(job_id),
            "result": keys.result(job_id),
            "all_index": keys.INDEX_ALL,
            "expiry": keys.EXPIRY,
            "completed_index": keys.index(State.COMPLETED),
            "incomplete_index": keys.index(State.INCOMPLETE),
            "failed_index": keys.index(State.FAILED),
            "cancelled_index": keys.index(State.CANCELLED),
            "queued_index": keys.index(State.QUEUED),
            "in_progress_index": keys.index(State.IN_PROGRESS),
            "leases": keys.LEASES,
            "waiting": keys.WAITING,
            "deadlines": keys.DEADLINES,
            "messages": keys.messages(queue),
            "messages_high": keys.messages_high(queue),
            "bytes": keys.BYTES,
            "idempotency": idempotency,
        },
        args={"id": job_id, "tenant": tenant if record is None else record.tenant},
        read=text,
        must_be_safe=True,
    )
