"""The status of a worker, as it reports it with each heartbeat."""

from typing import Self

from jobs.base import FrozenModel, json_object, read_stored


class WorkerStatus(FrozenModel):
    """The status of one `celery worker`, which on the prefork pool consists of several processes.

    A field is None if it is unknown: the worker has sent heartbeats but no report, as versions before the reports do,
    or a report of another version.
    """

    name: str  # host and process id
    host: str | None = None
    version: str | None = None
    takes_jobs: bool | None = None  # queued jobs start here, at the latest when a slot is free
    slots: int | None = None
    free_slots: int | None = None

    @classmethod
    def from_report(cls, name: str, report: bytes | str | None) -> Self:
        """Read a worker's report; None if there is none. Never raises."""
        fields = {} if report is None else json_object(report)
        return read_stored(cls, {**fields, "name": name})[0]
