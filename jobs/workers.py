"""The status of a worker, as it reports it with each heartbeat."""

from jobs.base import FrozenModel


class WorkerStatus(FrozenModel):
    """The status of one `celery worker`, which on the prefork pool consists of several processes."""

    name: str  # host and process id
    host: str
    version: str
    takes_jobs: bool  # queued jobs start here, at the latest when a slot is free
    slots: int
    free_slots: int
