"""Long polling: waits for a job to become final, and builds the response."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, Self, TypeVar

from flask import Response, request

from api.http.disconnect import ClientDisconnected, disconnect_check
from api.schemas.requests import PollHeaders, WaitQuery
from api.schemas.responses import retry_after_seconds
from api.services import services
from jobs import lookup
from jobs.models import JobDetails, JobRecord, JobView


@dataclass(frozen=True)
class Poll:
    """``?wait=N`` or ``Prefer: wait=N``. The query takes precedence."""

    wait_seconds: float
    preferred_seconds: int | None

    @classmethod
    def of(cls, query: WaitQuery, headers: PollHeaders) -> Self:
        preferred = headers.wait_seconds if query.wait is None else None
        return cls(query.wait or preferred or 0, preferred)

    def respond(self, record: JobRecord, body: Callable[[], Any], unfinished_status: int = 202) -> Any:
        """The return value of a flask-smorest view; 304 without a body if the client has this version."""
        response_headers = {"ETag": _etag(record)}
        if self.preferred_seconds is not None:
            response_headers["Preference-Applied"] = f"wait={self.preferred_seconds}"
        if not record.is_final:
            response_headers["Retry-After"] = str(retry_after_seconds(record, time.time()))
        if request.if_none_match.contains_raw(response_headers["ETag"]):
            return Response(status=304, headers=response_headers)
        return body(), 200 if record.is_final else unfinished_status, response_headers


def _etag(record: JobRecord) -> str:
    """A weak ETag: the record's version, and what changes without a write to it: the queue position and the reason."""
    position = "" if record.queue_position is None else f"-{record.queue_position}"
    reason = f"-{record.waiting_for}" if record.waiting_for else ""
    return f'W/"{record.version}{position}{reason}"'


class Snapshot(Protocol):
    """The state of a job at one moment."""

    @property
    def record(self) -> JobRecord: ...


AnySnapshot = TypeVar("AnySnapshot", bound=Snapshot)


def view_when_final(
    job_id: str, seconds: float, on_disconnect: Callable[[], None] | None = None, *, known: JobRecord | None = None
) -> JobView:
    """The job as soon as it is final, or in its current state when the time is up.

    ``on_disconnect`` is called when the client disconnects before that, and ClientDisconnected is raised. With None,
    disconnects are not detected. ``known`` is a record that was just read, which saves a query. Raises JobNotFound,
    StoreUnavailable, and InvalidKey or Forbidden once the caller's API key has ended.
    """
    store = services().store
    snapshot = JobView(record=known) if known and not known.is_final else lookup.view(store, job_id)
    return _when_final(partial(lookup.view, store, job_id), snapshot, seconds, on_disconnect)


def details_when_final(job_id: str, seconds: float) -> JobDetails:
    """Like ``view_when_final``, but with the failed attempts and without the answer, which may be long."""

    def fetch(_result: bytes | None = None) -> JobDetails:
        return lookup.details(services().store, job_id)

    return _when_final(fetch, fetch(), seconds)


def _when_final(
    fetch: Callable[[bytes | None], AnySnapshot],
    snapshot: AnySnapshot,
    seconds: float,
    on_disconnect: Callable[[], None] | None = None,
) -> AnySnapshot:
    if snapshot.record.is_final or seconds <= 0:
        return snapshot

    job_id, is_fresh = snapshot.record.job_id, True

    def refresh(result: bytes | None) -> AnySnapshot | None:
        nonlocal snapshot, is_fresh
        if is_fresh and result is None:  # the first check, right after the snapshot: has the job ended in between?
            result, is_fresh = services().store.stored_result(snapshot.record), False
            if result is None:
                return None
        snapshot = fetch(result)
        return snapshot if snapshot.record.is_final else None

    app_services = services()
    checks = [disconnect_check()] if on_disconnect else []
    if app_services.needs_key:
        checks.append(app_services.require_valid_key)

    def run_checks() -> None:
        for check in checks:
            check()

    each_second = run_checks if checks else None
    try:
        app_services.listener.wait(job_id, refresh, seconds, each_second=each_second)
    except ClientDisconnected:
        if on_disconnect is not None:
            on_disconnect()
        raise
    return snapshot
