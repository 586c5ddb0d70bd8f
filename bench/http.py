"""A small HTTP/1.1 client for one request at a time. It must use little CPU compared with the measured server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

_LIMIT = 16 * 1024 * 1024  # bytes of a line or a chunk; the status of a thousand jobs takes half a megabyte


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes

    def json(self, expected_status: int) -> Any:
        """The parsed body. Raises RuntimeError for any other status: a failed request must not be counted."""
        if self.status != expected_status:
            raise RuntimeError(f"status {self.status}, expected {expected_status}")
        return json.loads(self.body)


@dataclass(frozen=True)
class Event:
    """One server-sent event. Comments are skipped."""

    name: str
    data: str


class Connection:
    """A connection that opens at its first request and is kept alive until the server closes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        writer, self._reader, self._writer = self._writer, None, None
        if writer is not None:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def call(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send one request and read the whole response."""
        status, headers, reader = await self._send(method, path, body)
        if headers.get("transfer-encoding") == "chunked":
            content = b"".join([chunk async for chunk in _read_chunked(reader)])
        else:
            content = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            await self.close()
        return Reply(status, content)

    async def events(self, method: str, path: str, body: bytes = b"") -> AsyncIterator[Event]:
        """Follow an event stream to its end. Raises RuntimeError when the response is not an event stream."""
        status, headers, reader = await self._send(method, path, body)
        if not headers.get("content-type", "").startswith("text/event-stream"):
            raise RuntimeError(f"{method} {path.partition('?')[0]} returned {status} and no event stream")
        parts = _read_chunked(reader) if headers.get("transfer-encoding") == "chunked" else _read_to_end(reader)
        buffer = b""
        async for part in parts:
            *frames, buffer = (buffer + part).split(b"\n\n")
            for frame in frames:
                event = _parse_event(frame.decode())
                if event is not None:
                    yield event

    async def _send(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, str], asyncio.StreamReader]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LIMIT)
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        status_line, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        return int(status_line.split()[1]), headers, self._reader


async def _read_chunked(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")


async def _read_to_end(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while part := await reader.read(65_536):
        yield part


def _parse_event(frame: str) -> Event | None:
    values = dict(line.split(": ", 1) for line in frame.splitlines() if ": " in line and not line.startswith(":"))
    return Event(values.get("event", "message"), values["data"]) if "data" in values else None
