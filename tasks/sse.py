"""Server-sent events as far as a provider's stream uses them: bytes as the network cuts them go in, data comes out.

The SDK's own decoder hands each event up through four asynchronous generators, which costs more than all else that is
done with a token. This one decodes at once what one read brought.
"""


class EventData:
    """Of one stream. Each line end of the standard counts, whichever reads it comes in."""

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []  # of a line; joined once, for a line may be long and come in many reads
        self._data: list[bytes] = []  # of an event

    def feed(self, received: bytes) -> list[bytes]:
        """The data of each event that is whole now; its lines joined by line feeds."""
        if b"\n" not in received and b"\r" not in received:
            self._unfinished.append(received)
            return []
        lines = b"".join((*self._unfinished, received)).splitlines(keepends=True)
        self._unfinished = [] if lines[-1].endswith(b"\n") else [lines.pop()]  # a last \r may be half a line end
        return [data for line in lines if (data := self._add(line.rstrip(b"\r\n"))) is not None]

    def _add(self, line: bytes) -> bytes | None:
        """The event's data, at the empty line that ends it. Its name, id and comments are passed over."""
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            return data
        return None
