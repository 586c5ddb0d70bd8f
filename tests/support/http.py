"""Plain HTTP calls, whatever the status."""

import http.client
import json
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Reply:
    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(url: str, body: Any = None, method: str | None = None, timeout: float = 60, **headers: str) -> Reply:
    """Sends bytes unchanged and anything else as JSON; POST if there is a body."""
    parts = urlsplit(url)
    is_json = body is not None and not isinstance(body, bytes)
    data = json.dumps(body).encode() if is_json else body
    sent = {"Content-Type": "application/json"} | headers if body is not None else headers
    path = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with closing(http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)) as connection:
        connection.request(method or ("GET" if body is None else "POST"), path, data, sent)
        reply = connection.getresponse()
        return Reply(reply.status, reply.headers, reply.read())
