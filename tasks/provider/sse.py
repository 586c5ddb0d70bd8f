"""Server-sent events as far as a provider's stream uses them: bytes as the network cuts them go in, data comes out.

The SDK's own decoder hands each event up through four asynchronous generators, which costs more than all else that is
done with a token. This one decodes at once what one read brought.
"""

from tasks.provider.errors import broken
from tasks.provider.limits import MOST_EVENT_BYTES


class EventData:
    """Of one stream. Each line end of the standard counts, whichever reads it comes in."""

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []  # of a line; joined once, for a line may be long and come in many reads
        self._data: list[bytes] = []  # of an event
        self._has_return = False  # the last read ended with one, of which a line feed may be the other half
        self._held_bytes = 0  # since the last event that was whole

    def feed(self, received: bytes) -> list[bytes]:
        """The data of each event that is whole now; its lines joined by line feeds.

        Raises ProviderBroken for an event that does not end.
        """
        self._held_bytes += len(received)
        if self._held_bytes > MOST_EVENT_BYTES:
            raise broken()
        rest = received.removeprefix(b"\n") if self._has_return else received
        self._has_return = rest.endswith(b"\r")
        self._unfinished.append(rest)
        return self._whole() if b"\n" in rest or b"\r" in rest else []

    def _whole(self) -> list[bytes]:
        lines = b"".join(self._unfinished).splitlines(keepends=True)
        self._unfinished = [] if lines[-1].endswith((b"\n", b"\r")) else [lines.pop()]
        events = [data for line in lines if (data := self._add(line.rstrip(b"\r\n"))) is not None]
        if events:
            self._held_bytes = 0
        return events

    def _add(self, line: bytes) -> bytes | None:
        """The event's data, at the empty line that ends it. Its name, id and comments are passed over."""
        if line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
        elif not line and self._data:
            data = b"\n".join(self._data)
            self._data.clear()
            return data
        return None
