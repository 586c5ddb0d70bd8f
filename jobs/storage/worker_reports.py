"""The reports of the workers: written with each heartbeat, beside the renewal of the leases."""

from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.commands import Command, script_command
from jobs.storage.message_template import MessageTemplate
from jobs.storage.transitions.shared_arguments import dispatch_keys
from jobs.workers import WorkerStatus


def report_worker(status: WorkerStatus, message_template: MessageTemplate, settings: Settings) -> Command[None]:
    """Replace the worker's status. It counts for as long as a lease. Publishes jobs for slots that have become free."""
    return script_command(
        "report_worker",
        keys={
            **dispatch_keys(message_template.queue),
            "workers": keys.WORKERS,
            "statuses": keys.WORKER_STATUSES,
            "takers": keys.TAKERS,
        },
        args={
            "worker": status.name,
            "status": status.model_dump_json(),
            "takes_jobs": int(bool(status.takes_jobs)),
            "slots": status.slots or 0,
            "ahead": -1 if settings.ready_ahead is None else settings.ready_ahead,
            "batch_share": settings.batch_share,
            "message": message_template.normal,
            "lease_ms": round(settings.lease_seconds * 1000),
        },
        read=lambda _: None,
    )
