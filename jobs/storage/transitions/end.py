"""The verbs by which a caller ends a job: cancel and delete."""

from jobs.models import JobRecord
from jobs.settings import Settings
from jobs.states import FINAL_STATES, State
from jobs.storage import celery_result, keys
from jobs.storage.commands import Argument, Command, script_command, text
from jobs.storage.transitions.encoding import event_json, finalize_keys


def cancel(job_id: str, queue: str, settings: Settings) -> Command[str]:
    """End a queued or running job. Answers cancelled, final (it had ended otherwise) or gone."""
    args: list[Argument] = [
        job_id,
        celery_result.revoked_prefix(job_id),
        settings.result_ttl_seconds,
        settings.events_ttl_seconds,
        event_json(State.CANCELLED),
        keys.changed_channel(job_id),
        keys.CANCELLED_CHANNEL,
    ]
    return script_command("cancel", finalize_keys(job_id, queue, State.CANCELLED), args, text)


def delete(job_id: str, record: JobRecord | None) -> Command[str]:
    """Forget a job that has ended. Answers deleted, active (cancel it first) or gone.

    ``record`` frees its Idempotency-Key too; without it (the record has expired) the indexes are cleared.
    """
    own = [
        keys.job(job_id),
        keys.request(job_id),
        keys.events(job_id),
        keys.attempts(job_id),
        keys.result(job_id),
    ]
    indexes = [keys.INDEX_ALL, keys.EXPIRY, *(keys.index(state) for state in sorted(FINAL_STATES))]
    names = own + indexes
    if record is not None and record.idempotency is not None:
        names.append(keys.idempotency(record.tenant, record.idempotency))
    return script_command("delete", names, [job_id, len(indexes)], text)
