"""Decodes the server-sent events of providers: chunks of bytes in, the data of events out.

The SDK's decoder passes each event through four asynchronous generators, which costs more CPU than all other work
on a token. This decoder is synchronous and returns all events that one chunk completes.
"""

from tasks.provider.errors import protocol_error
from tasks.provider.limits import MAX_EVENT_BYTES


class SSEDecoder:
    """For one stream. Accepts every line end of the standard, also when a chunk boundary splits it."""

    def __init__(self) -> None:
        self._partial_line: list[bytes] = []  # joined once: a line may be long and arrive in many chunks
        self._data: list[bytes] = []  # the data lines of the event that has not ended
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

    def _complete_events(self) -> list[bytes]:
        lines = b"".join(self._partial_line).splitlines(keepends=True)
        self._partial_line = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        events = [data for line in lines if (data := self._read_line(line.rstrip(b"\r\n"))) is not None]
        if events:
            self._buffered_bytes = 0
        return events

    def _read_line(self, line: bytes) -> bytes | None:
        """The event's data, at the empty line that ends it. Event names, ids and comments are ignored."""
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            return data
        return None
