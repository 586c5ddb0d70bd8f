"""The reports of the workers: written with each heartbeat, beside the renewal of the leases."""

from jobs.settings import Settings
from jobs.storage import keys
from jobs.storage.commands import Command, script_command
from jobs.workers import WorkerStatus


def report_worker(status: WorkerStatus, settings: Settings) -> Command[None]:
    """Replace the worker's status. It counts for as long as a lease."""
    return script_command(
        "report_worker",
        keys={"workers": keys.WORKERS, "statuses": keys.WORKER_STATUSES, "takers": keys.TAKERS},
        args={
            "worker": status.name,
            "status": status.model_dump_json(),
            "takes_jobs": int(bool(status.takes_jobs)),
            "lease_ms": round(settings.lease_seconds * 1000),
        },
        read=lambda _: None,
    )
