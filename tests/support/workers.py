"""The status of a worker, for tests that run no worker."""

from typing import Any

from jobs.workers import WorkerStatus


def worker_status(**changes: Any) -> WorkerStatus:
    """A worker named worker-1 that takes jobs and has a free slot, except for these changes."""
    fields = {"name": "worker-1", "host": "h", "version": "1", "takes_jobs": True, "slots": 2, "free_slots": 1}
    return WorkerStatus.model_validate(fields | changes)
