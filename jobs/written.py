"""Reads a request as it was written down: by this version, by another one, or damaged since."""

from pydantic import ValidationError

from jobs.errors import RequestUnreadable
from jobs.requests import JOB_REQUEST, JobRequest


def read_request(written: bytes) -> JobRequest:
    """Raises RequestUnreadable, which holds nothing of it."""
    try:
        return JOB_REQUEST.validate_json(written)
    except ValidationError:
        raise RequestUnreadable("what was asked cannot be read: another version wrote it, or it is damaged") from None
