"""Finds the JSON values in the body of an answer. The bytes decide, not the content type.

Most providers send server-sent events. Some send one JSON value although a stream was requested, or one per line, and
some declare the wrong content type.
"""

import json
from typing import Final, Protocol

from tasks.provider.errors import protocol_error
from tasks.provider.limits import MAX_EVENT_BYTES
from tasks.provider.sse import DONE, SSEDecoder

_FIELDS: Final = (b"data", b"event", b"id", b"retry", b":")  # that a line of server-sent events begins with
_SPACE: Final = b"\xef\xbb\xbf \t\r\n"  # a byte order mark, and white space
_JUDGED_BYTES: Final = 8  # enough to tell apart the formats


class _Decoder(Protocol):
    def feed(self, chunk: bytes) -> list[bytes]: ...
    def flush(self) -> list[bytes]: ...


class BodyDecoder:
    """For one body. Each value is the data of one event; it may be invalid JSON."""

    def __init__(self) -> None:
        self._beginning = b""
        self._decoder: _Decoder | None = None

    def feed(self, chunk: bytes) -> list[bytes]:
        """The values that this chunk completes. Raises ProviderBroken for a body of another kind."""
        if self._decoder is not None:
            return self._decoder.feed(chunk)
        self._beginning = (self._beginning + chunk).lstrip(_SPACE)
        if len(self._beginning) < _JUDGED_BYTES:
            return []
        return self._start()

    def flush(self) -> list[bytes]:
        """The rest, at the end of the body. A rest that is not valid JSON was cut off, and is left out."""
        values = self._start() if self._decoder is None and self._beginning else []
        rest = self._decoder.flush() if self._decoder else []
        return values + [value for value in rest if value.startswith(DONE) or _is_json(value)]

    def _start(self) -> list[bytes]:
        beginning, self._beginning = self._beginning, b""
        self._decoder = _JsonDecoder() if beginning.startswith((b"{", b"[")) else SSEDecoder()
        if not beginning.startswith((b"{", b"[", *_FIELDS)):
            raise protocol_error()
        return self._decoder.feed(beginning)


class _JsonDecoder:
    """One JSON value in one or more lines, or one in each line."""

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._bytes = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        self._bytes += len(chunk)
        if self._bytes > MAX_EVENT_BYTES:
            raise protocol_error()
        *ended, rest = ((self._lines.pop() if self._lines else b"") + chunk).split(b"\n")
        values = []
        for line in ended:
            self._lines.append(line)
            if line.startswith((b"{", b"}")) and line.rstrip().endswith(b"}"):  # unindented: it may be the last line
                values += self._take_value()
        self._lines.append(rest)
        return values

    def flush(self) -> list[bytes]:
        return [value] if (value := b"\n".join(self._lines).strip()) else []

    def _take_value(self) -> list[bytes]:
        value = b"\n".join(self._lines)
        if not _is_json(value):
            return []
        self._lines, self._bytes = [], 0
        return [value]


def _is_json(value: bytes) -> bool:
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        return False
    return True
