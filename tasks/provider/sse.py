"""Decodes the server-sent events of providers: chunks of bytes in, the data of events out.

The SDK's decoder passes each event through four asynchronous generators, which costs more CPU than all other work
on a token. This decoder is synchronous and returns all events that one chunk completes.
"""

from collections.abc import Sequence
from typing import Final

from tasks.provider.errors import protocol_error
from tasks.provider.limits import MAX_EVENT_BYTES

_NO_EVENTS: Final[Sequence[bytes]] = ()
DONE = b"[DONE]"  # the data of the event that ends a stream of chat completions


class SSEDecoder:
    """For one stream. Accepts every line end of the standard, also when a chunk boundary splits it.

    Accepts two deviations: events without an empty line between them, and an error that only the event's name marks.
    """

    def __init__(self) -> None:
        self._partial_line: list[bytes] = []  # joined once: a line may be long and arrive in many chunks
        self._data: list[bytes] = []  # the data lines of the event that has not ended
        self._is_error = False  # that event's name is `error`
        self._ends_with_cr = False  # a line feed at the start of the next chunk belongs to this carriage return
        self._buffered_bytes = 0  # received since the last complete event

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each event that this chunk completes; data lines are joined by line feeds.

        Raises ProviderBroken when an event grows beyond MAX_EVENT_BYTES.
        """
        self._buffered_bytes += len(chunk)
        if self._buffered_bytes > MAX_EVENT_BYTES:
            raise protocol_error()
        rest = chunk.removeprefix(b"\n") if self._ends_with_cr else chunk
        self._ends_with_cr = rest.endswith(b"\r")
        self._partial_line.append(rest)
        return self._complete_events() if b"\n" in rest or b"\r" in rest else []

    def flush(self) -> list[bytes]:
        """The data of the event that the end of the stream has cut. It may be incomplete."""
        events = self.feed(b"\n") if any(self._partial_line) else []
        return [*events, *self._end_event()]

    def _complete_events(self) -> list[bytes]:
        lines = b"".join(self._partial_line).splitlines(keepends=True)
        self._partial_line = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        events = [data for line in lines for data in self._read_line(line.rstrip(b"\r\n"))]
        if events:
            self._buffered_bytes = 0
        return events

    def _read_line(self, line: bytes) -> Sequence[bytes]:
        """The event that this line ends. Event names other than `error`, ids and comments are ignored."""
        if line.startswith(b"data:"):
            value = line[5:].removeprefix(b" ")
            ended = self._end_event() if self._data and _begins_event(value, self._data[-1]) else _NO_EVENTS
            self._data.append(value)
            return ended
        if not line:
            return self._end_event()
        if line.startswith(b"event:"):
            self._is_error = line[6:].strip() == b"error"
        return _NO_EVENTS

    def _end_event(self) -> Sequence[bytes]:
        if not self._data:
            return _NO_EVENTS
        data, is_error = b"\n".join(self._data), self._is_error
        self._data.clear()
        self._is_error = False
        if not data:  # a keep-alive of some servers
            return _NO_EVENTS
        if is_error and not data.startswith(DONE):
            return [b'{"error":%s}' % (data if data.startswith(b"{") else b'"error"')]
        return [data]


def _begins_event(line: bytes, previous: bytes) -> bool:
    """True for a line that cannot continue the JSON before it."""
    return previous.endswith(b"}") and not previous[:1].isspace() and line.startswith((b"{", DONE))
