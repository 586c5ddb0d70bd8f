"""Confirms the 404 of a call that changes something."""

from collections.abc import Iterator
from contextlib import contextmanager

from api.services import services
from jobs.errors import NotFound


@contextmanager
def confirmed_not_found() -> Iterator[None]:
    """Wrap a view that changes a job or a document: raises StoreUnavailable instead of a 404 that may not last.

    An earlier call may have deleted it and been answered 503, because its write was not safe. Repeated, the call finds
    nothing, and its 404 promises that the deletion stays.
    """
    try:
        yield
    except NotFound:
        services().store.confirm_earlier_writes()
        raise
