"""How a request waits for a job to end."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from api.http.disconnect import ClientLeft, presence_check
from api.services import services
from jobs import lookup
from jobs.models import JobDetails, JobRecord, JobView


class Look(Protocol):
    """What one look at a job shows."""

    @property
    def record(self) -> JobRecord: ...


AnyLook = TypeVar("AnyLook", bound=Look)


def view_when_final(
    job_id: str, seconds: float, leave: Callable[[], None] | None = None, *, known: JobRecord | None = None
) -> JobView:
    """The job as soon as it is final, or as it is when the time is up.

    ``leave`` is called when the client leaves before that; None: nobody looks whether it does. ``known``: its record
    as it was just now, which saves a look. Raises ClientLeft then, JobNotFound and StoreUnavailable.
    """
    look = partial(lookup.view, services().store, job_id)
    seen = JobView(record=known) if known and not known.state.is_final else look()
    return _when_final(look, seen, seconds, leave)


def details_when_final(job_id: str, seconds: float) -> JobDetails:
    """The same without the answer, which may be long, and with the failed attempts."""
    look = partial(lookup.details, services().store, job_id)
    return _when_final(look, look(), seconds)


def _when_final(
    look: Callable[[], AnyLook], seen: AnyLook, seconds: float, leave: Callable[[], None] | None = None
) -> AnyLook:
    if seen.record.state.is_final or seconds <= 0:
        return seen

    def look_again() -> AnyLook | None:
        nonlocal seen
        seen = look()
        return seen if seen.record.state.is_final else None

    each_second = presence_check() if leave else None
    try:
        services().listener.wait(seen.record.job_id, look_again, seconds, until_final=True, each_second=each_second)
    except ClientLeft:
        if leave is not None:
            leave()
        raise
    return seen
