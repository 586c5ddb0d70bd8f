"""GET of a job: how long it waits for the end, and what the answer says of itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from flask import Response, request

from api.schemas.requests import PollHeaders, WaitQuery
from api.schemas.responses import retry_after_seconds
from jobs.models import JobRecord


@dataclass(frozen=True)
class Poll:
    """``?wait=N`` or ``Prefer: wait=N``; the query goes before the preference."""

    wait_seconds: float
    preferred_seconds: int | None

    @classmethod
    def of(cls, query: WaitQuery, headers: PollHeaders) -> Self:
        preferred = headers.wait_seconds if query.wait is None else None
        return cls(query.wait or preferred or 0, preferred)

    def respond(self, record: JobRecord, body: Callable[[], Any], unfinished_status: int = 202) -> Any:
        """What flask-smorest takes for an answer; 304 without a body when the client has this version."""
        response_headers = {"ETag": _etag(record)}
        if self.preferred_seconds is not None:
            response_headers["Preference-Applied"] = f"wait={self.preferred_seconds}"
        if not record.state.is_final:
            response_headers["Retry-After"] = str(retry_after_seconds(record, time.time()))
        if request.if_none_match.contains_raw(response_headers["ETag"]):
            return Response(status=304, headers=response_headers)
        return body(), 200 if record.state.is_final else unfinished_status, response_headers


def _etag(record: JobRecord) -> str:
    """Weak: the record's version, and for a job in line its place, which changes without a write to the record."""
    position = "" if record.queue_position is None else f"-{record.queue_position}"
    return f'W/"{record.version}{position}"'
