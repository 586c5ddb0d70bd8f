"""Which messages of the broker are fit for Celery. Anyone who can write to the broker can send anything.

Celery ends the worker for some malformed messages, and logs the content of others. So what is not a well-formed message
is dropped here: a job is not lost by it, because recovery publishes the message of a queued job again.

Logs:
    message_dropped  reason, dropped: the kind of fault, and how many messages this process has dropped so far. At most
                     one line for each reason in 10 s
"""

import binascii
import json
import logging
import re
import time
from base64 import b64decode
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Final

from jobs.models import is_job_id
from tasks.queue_message import RUN_JOB

logger = logging.getLogger(__name__)

_JSON: Final = "application/json"
_TEXT: Final = "text/plain"
_SAFE_ID: Final = re.compile(r"[\w.:@/-]{1,255}", re.ASCII)  # of other Celery tasks; it appears in log lines
_QUIET_SECONDS: Final = 10.0
_PARTS: Final = 3  # of a body: arguments, keyword arguments, callbacks and the like


class Unfit(ValueError):
    """The message must be dropped. The text is the reason, without any content."""


class DroppedMessages:
    """Counts the messages that this process has dropped, and logs them at a bounded rate."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._logged_at: dict[str, float] = {}

    def add(self, reason: str) -> None:
        self.count += 1
        now = self._clock()
        if now - self._logged_at.get(reason, -_QUIET_SECONDS) >= _QUIET_SECONDS:
            self._logged_at[reason] = now
            logger.warning("message_dropped reason=%s dropped=%d", reason, self.count)


dropped_messages = DroppedMessages()


def read_envelope(data: bytes | str) -> dict[str, Any]:
    """A message as kombu writes it to Redis, with a body that can be decoded. Raises Unfit."""
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise Unfit("not_json") from None
    properties = message.get("properties") if isinstance(message, dict) else None
    if not isinstance(properties, dict) or not isinstance(message.get("headers"), dict):
        raise Unfit("not_a_message")
    info = properties.get("delivery_info")
    if not isinstance(properties.get("delivery_tag"), str) or not isinstance(info, dict):
        raise Unfit("not_a_message")
    if not all(isinstance(info.get(name), str) for name in ("exchange", "routing_key")):
        raise Unfit("not_a_message")
    if message.get("content-type") not in (_JSON, _TEXT) or message["headers"].get("compression"):
        raise Unfit("content_type")
    body = _decode(message.get("body"), properties.get("body_encoding"))
    if message["content-type"] == _JSON:
        _check_body(body)
    return message  # type: ignore[no-any-return]  # a dict, as checked above


def check_task(headers: Any, content_type: Any, body: Any, known_tasks: Collection[str]) -> None:
    """Raises Unfit unless this is the message of a job, or of another task that this worker knows."""
    if not isinstance(headers, Mapping) or not isinstance(headers.get("task"), str):
        raise Unfit("not_a_task")
    if content_type != _JSON or headers.get("compression"):
        raise Unfit("content_type")
    if headers["task"] not in known_tasks:
        raise Unfit("unknown_task")
    parts = _check_body(body)
    if headers["task"] == RUN_JOB:
        _check_job(headers, parts)
    else:
        _check_other_task(headers, parts)


def _check_job(headers: Mapping[str, Any], parts: Any) -> None:
    if not isinstance(headers.get("id"), str) or not is_job_id(headers["id"]):
        raise Unfit("not_a_job_id")
    if headers.get("eta") is not None or headers.get("expires") is not None or headers.get("group") is not None:
        raise Unfit("not_a_plain_task")
    args, kwargs, embed = _split(parts)
    if args or kwargs or any(embed.values()):
        raise Unfit("not_a_plain_task")


def _check_other_task(headers: Mapping[str, Any], parts: Any) -> None:
    if not isinstance(headers.get("id"), str) or not _SAFE_ID.fullmatch(headers["id"]):
        raise Unfit("unsafe_id")
    for name in ("eta", "expires"):
        if headers.get(name) is not None and not _is_time(headers[name]):
            raise Unfit("malformed_time")
    _split(parts)


def _split(parts: Any) -> tuple[list[Any], dict[str, Any], dict[str, Any]]:
    if not isinstance(parts, list) or len(parts) != _PARTS:
        raise Unfit("malformed_body")
    args, kwargs, embed = parts
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(embed, dict):
        raise Unfit("malformed_body")
    return args, kwargs, embed


def _decode(body: Any, encoding: Any) -> str:
    if not isinstance(body, str) or encoding not in (None, "base64"):
        raise Unfit("malformed_body")
    try:
        return b64decode(body, validate=True).decode() if encoding else body
    except (ValueError, binascii.Error):
        raise Unfit("malformed_body") from None


def _check_body(body: Any) -> Any:
    try:
        return json.loads(bytes(body) if isinstance(body, memoryview) else body)
    except (TypeError, ValueError, RecursionError):
        raise Unfit("malformed_body") from None


def _is_time(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False
