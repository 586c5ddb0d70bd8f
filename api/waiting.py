"""How a request waits for a job to end."""

from collections.abc import Callable

from api.presence import ClientLeft, presence_check
from api.services import services
from jobs import reading
from jobs.models import JobRecord, JobView


def view_when_final(
    job_id: str, seconds: float, leave: Callable[[], None] | None = None, *, known: JobRecord | None = None
) -> JobView:
    """The job as soon as it is final, or as it is when the time is up.

    ``leave`` is called when the client leaves before that; None: nobody looks whether it does. ``known``: its record
    as it was just now, which saves a look. Raises ClientLeft then, JobNotFound and StoreUnavailable.
    """
    here = services()
    seen = JobView(record=known) if known and not known.state.is_final else reading.view(here.store, job_id)
    if seen.record.state.is_final or seconds <= 0:
        return seen

    def look() -> JobView | None:
        nonlocal seen
        seen = reading.view(here.store, job_id)
        return seen if seen.record.state.is_final else None

    try:
        here.listener.wait(job_id, look, seconds, until_final=True, each_second=presence_check() if leave else None)
    except ClientLeft:
        if leave is not None:
            leave()
        raise
    return seen
