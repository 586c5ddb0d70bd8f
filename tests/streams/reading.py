"""A reader of server-sent events that keeps every received byte and can be cut anywhere."""

import http.client
import json
from dataclasses import dataclass
from typing import Any, Literal

from jobs.states import FINAL_STATES

SILENCE_TIMEOUT_SECONDS = 30.0  # of silence, after which a reader fails


@dataclass(frozen=True)
class ServerSentEvent:
    """An event as an EventSource dispatches it, with ``data`` as received."""

    id: str | None
    event: str
    data: bytes

    @property
    def payload(self) -> dict[str, Any]:
        return dict(json.loads(self.data))

    @property
    def is_final(self) -> bool:
        return self.event in FINAL_STATES


class StreamReader:
    """One connection. ``received`` has all bytes read so far; ``ended`` is how the server ended it, if it did."""

    def __init__(
        self, port: int, path: str, method: str = "GET", body: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SILENCE_TIMEOUT_SECONDS)
        self._connection.request(method, path, body, headers or {})
        self._response: http.client.HTTPResponse | None = None
        self._received = bytearray()
        self.ended: Literal["cleanly", "broken"] | None = None

    @property
    def received(self) -> bytes:
        return bytes(self._received)

    @property
    def messages(self) -> list[ServerSentEvent]:
        return messages(self.received)

    @property
    def numbered(self) -> list[ServerSentEvent]:
        return [message for message in self.messages if message.id is not None]

    @property
    def last_id(self) -> str | None:
        return next((message.id for message in reversed(self.numbered)), None)

    def response(self) -> http.client.HTTPResponse:
        """The status and headers, as soon as they have arrived."""
        if self._response is None:
            self._response = self._connection.getresponse()
        return self._response

    def read(self, count: int) -> bytes:
        """Reads that many further bytes, or fewer if the stream ends, and returns all received bytes."""
        end = len(self._received) + count
        while len(self._received) < end and self.ended is None:
            self._receive(end - len(self._received))
        return self.received

    def read_until(self, text: bytes) -> bytes:
        while text not in self._received and self.ended is None:
            self._receive(65536)
        assert text in self._received, self.ended
        return self.received

    def read_to_end(self) -> bytes:
        while self.ended is None:
            self._receive(1 << 20)
        return self.received

    def close(self) -> None:
        """Cuts the connection from the client's side."""
        if self._response is not None:
            self._response.close()
        self._connection.close()

    def _receive(self, max_bytes: int) -> None:
        try:
            chunk = self.response().read1(max_bytes)
        except (http.client.IncompleteRead, ConnectionError):
            self.ended = "broken"
            return
        self._received += chunk
        if not chunk:
            self.ended = "cleanly"


def messages(received: bytes) -> list[ServerSentEvent]:
    """The complete messages, without one that was cut."""
    parsed = []
    for block in received.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if not line.startswith((b":", b"retry")))
        if b"data" in fields:
            number = fields[b"id"].decode() if b"id" in fields else None
            parsed.append(ServerSentEvent(number, fields[b"event"].decode(), fields[b"data"]))
    return parsed


def final_text(received_messages: list[ServerSentEvent]) -> str:
    """The final text of a reader that clears its text when an attempt begins."""
    text = ""
    for message in received_messages:
        text = "" if message.event == "in_progress" else text + message.payload.get("text", "")
    return text


def event_types(received_messages: list[ServerSentEvent]) -> list[str]:
    """The types of all events except deltas."""
    return [message.event for message in received_messages if message.event not in {"delta", "status"}]


def words(count: int) -> str:
    """The output of the offline model for ``tokens=count``."""
    return " ".join(f"w{number}" for number in range(count))
