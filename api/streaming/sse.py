"""Server-sent events (text/event-stream), as defined by the HTML standard."""

import json
from typing import Any, Final

CONTENT_TYPE: Final = "text/event-stream"
KEEPALIVE: Final = b": keepalive\n\n"  # a comment, which readers ignore


def frame(data: str, *, event: str | None = None, event_id: int | None = None) -> bytes:
    """One message of text/event-stream. ``data`` must be one line."""
    head = "" if event_id is None else f"id: {event_id}\n"
    head += f"event: {event}\n" if event else ""
    return f"{head}data: {data}\n\n".encode()


def json_frame(data: dict[str, Any], *, event: str | None = None) -> bytes:
    return frame(json.dumps(data, ensure_ascii=False, separators=(",", ":")), event=event)
