"""How a request waits for a job to end."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.services import services
from jobs import lookup
from jobs.models import JobDetails, JobRecord, JobView


class Snapshot(Protocol):
    """What one look at a job shows."""

    @property
    def record(self) -> JobRecord: ...


AnySnapshot = TypeVar("AnySnapshot", bound=Snapshot)


def view_when_final(
    job_id: str, seconds: float, on_disconnect: Callable[[], None] | None = None, *, known: JobRecord | None = None
) -> JobView:
    """The job as soon as it is final, or as it is when the time is up.

    ``on_disconnect`` is called when the client leaves before that; None: nobody looks whether it does. ``known``: its record
    as it was just now, which saves a look. Raises ClientDisconnected then, JobNotFound and StoreUnavailable.
    """
    fetch = partial(lookup.view, services().store, job_id)
    snapshot = JobView(record=known) if known and not known.state.is_final else fetch()
    return _when_final(fetch, snapshot, seconds, on_disconnect)


def details_when_final(job_id: str, seconds: float) -> JobDetails:
    """The same without the answer, which may be long, and with the failed attempts."""
    fetch = partial(lookup.details, services().store, job_id)
    return _when_final(fetch, fetch(), seconds)


def _when_final(
    fetch: Callable[[], AnySnapshot],
    snapshot: AnySnapshot,
    seconds: float,
    on_disconnect: Callable[[], None] | None = None,
) -> AnySnapshot:
    if snapshot.record.state.is_final or seconds <= 0:
        return snapshot

    def refresh() -> AnySnapshot | None:
        nonlocal snapshot
        snapshot = fetch()
        return snapshot if snapshot.record.state.is_final else None

    each_second = disconnect_check() if on_disconnect else None
    try:
        services().listener.wait(snapshot.record.job_id, refresh, seconds, until_final=True, each_second=each_second)
    except ClientDisconnected:
        if on_disconnect is not None:
            on_disconnect()
        raise
    return snapshot
