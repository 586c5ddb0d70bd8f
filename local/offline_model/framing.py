"""Unusual forms of a stream that contains the whole answer. Real providers send each of them.

whole       one JSON body, although a stream was requested
lines       one JSON value per line, without server-sent events
plain       server-sent events with the content type text/plain
json        server-sent events with the content type application/json
crlf        lines end with CR and LF
comments    a comment and the fields `event`, `id` and `retry` before each event
split       pieces of seven bytes
unended     no empty line after the last event
nodone      no ``[DONE]``
nofinish    no finish reason, or no final event of a response
"""

from enum import StrEnum
from typing import Final

DONE: Final = b"data: [DONE]\n\n"  # the end of a chat completion's stream
_DATA: Final = b"data: "
_PIECE_BYTES: Final = 7
_COMMENT: Final = b": ping\n\nretry: 9\nid: 7\nevent: x\n"  # a later field `event` takes precedence
_EVENT_STREAM: Final = "text/event-stream; charset=utf-8"


class Framing(StrEnum):
    WHOLE = "whole"
    LINES = "lines"
    PLAIN = "plain"
    JSON = "json"
    CRLF = "crlf"
    COMMENTS = "comments"
    SPLIT = "split"
    UNENDED = "unended"
    NO_DONE = "nodone"
    NO_FINISH = "nofinish"


_CONTENT_TYPES: Final = {
    Framing.PLAIN: "text/plain; charset=utf-8",
    Framing.JSON: "application/json",
    Framing.LINES: "application/x-ndjson",
}


def content_type(framing: Framing | None) -> str:
    return _CONTENT_TYPES.get(framing, _EVENT_STREAM) if framing else _EVENT_STREAM


def frame(events: bytes, framing: Framing | None, *, is_end: bool = False) -> list[bytes]:
    """The pieces to write for some whole events; ``is_end``: for the last ones."""
    if framing is Framing.SPLIT:
        return [events[place : place + _PIECE_BYTES] for place in range(0, len(events), _PIECE_BYTES)]
    return [_rewritten(events, framing, is_end=is_end)]


def _rewritten(events: bytes, framing: Framing | None, *, is_end: bool) -> bytes:
    match framing:
        case Framing.LINES:
            lines = [line for line in events.removesuffix(DONE).split(b"\n") if line.startswith(_DATA)]
            return b"".join(line.removeprefix(_DATA) + b"\n" for line in lines)
        case Framing.CRLF:
            return events.replace(b"\n", b"\r\n")
        case Framing.COMMENTS:
            return b"".join(_COMMENT + block + b"\n\n" for block in events.split(b"\n\n")[:-1])
        case Framing.UNENDED if is_end:
            return events.rstrip(b"\n")
        case Framing.NO_DONE if is_end:
            return events.removesuffix(DONE)
    return events
