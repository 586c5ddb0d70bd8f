"""How a request waits for a job to end."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from api.presence import ClientLeft, presence_check
from api.services import services
from jobs import reading
from jobs.models import JobDetails, JobRecord, JobView
from jobs.store import Store


class Look(Protocol):
    """What one look at a job shows."""

    @property
    def record(self) -> JobRecord: ...


Seen = TypeVar("Seen", bound=Look)


def view_when_final(job_id: str, seconds: float, leave: Callable[[], None] | None = None) -> JobView:
    """The job as soon as it is final, or as it is when the time is up.

    ``leave`` is called when the client leaves before that; None: nobody looks whether it does. Raises ClientLeft then,
    JobNotFound and StoreUnavailable.
    """
    return _when_final(reading.view, job_id, seconds, leave)


def details_when_final(job_id: str, seconds: float) -> JobDetails:
    """The same without the answer, which may be long, and with the failed attempts."""
    return _when_final(reading.details, job_id, seconds, None)


def _when_final(
    read: Callable[[Store, str], Seen], job_id: str, seconds: float, leave: Callable[[], None] | None
) -> Seen:
    here = services()
    seen = read(here.store, job_id)
    if seen.record.state.is_final or seconds <= 0:
        return seen

    def look() -> Seen | None:
        nonlocal seen
        seen = read(here.store, job_id)
        return seen if seen.record.state.is_final else None

    try:
        here.listener.wait(job_id, look, seconds, until_final=True, each_second=presence_check() if leave else None)
    except ClientLeft:
        if leave is not None:
            leave()
        raise
    return seen
