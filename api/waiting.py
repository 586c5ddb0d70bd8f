"""How a request waits for a job to end."""

from collections.abc import Callable

from api.services import services
from jobs import reading
from jobs.models import JobView


def view_when_final(job_id: str, seconds: float, each_second: Callable[[], None] | None = None) -> JobView:
    """The job as soon as it is final, or as it is when the time is up.

    ``each_second`` may raise to give up. Raises JobNotFound, StoreUnavailable.
    """
    here = services()
    seen = reading.view(here.store, job_id)
    if seen.record.state.is_final or seconds <= 0:
        return seen

    def look() -> JobView | None:
        nonlocal seen
        seen = reading.view(here.store, job_id)
        return seen if seen.record.state.is_final else None

    here.listener.wait(job_id, look, seconds, until_final=True, each_second=each_second)
    return seen
