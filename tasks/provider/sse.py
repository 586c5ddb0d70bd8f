"""Server-sent events as far as a provider's stream uses them: bytes as the network cuts them go in, data comes out.

The SDK's own decoder hands each event up through four asynchronous generators, which costs more than all else that is
done with a token. This one decodes at once what one read brought.
"""

from tasks.provider.errors import protocol_error
from tasks.provider.limits import MAX_EVENT_BYTES


class SSEDecoder:
    """Of one stream. Each line end of the standard counts, whichever reads it comes in."""

    def __init__(self) -> None:
        self._partial_line: list[bytes] = []  # of a line; joined once, for a line may be long and come in many reads
        self._data: list[bytes] = []  # of an event
        self._ends_with_cr = False  # the last read ended with one, of which a line feed may be the other half
        self._buffered_bytes = 0  # since the last event that was whole

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of each event that is whole now; its lines joined by line feeds.

        Raises ProviderBroken for an event that does not end.
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
        """The event's data, at the empty line that ends it. Its name, id and comments are passed over."""
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            return data
        return None
