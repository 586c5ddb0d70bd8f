"""gunicorn's response, which sends a complete answer in one piece."""

import time
from functools import lru_cache
from typing import Any, Final

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]

_ONE_PIECE_BYTES: Final = 64 * 1024  # a longer body is not copied behind its headers


class Response(wsgi.Response):  # type: ignore[misc]  # untyped
    """Sends headers and a short, complete body at once: each send costs more than all of gunicorn's own work."""

    headers_sent: bool

    def write(self, data: Any) -> None:
        """Send a part of the body, after the headers."""
        if self.headers_sent or not self._is_complete(data):
            super().write(data)
            return
        self.headers_sent, self.sent = True, len(data)
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers), "\r\n"]
        util.write(self.sock, "".join(lines).encode("latin-1") + data)

    def _is_complete(self, data: Any) -> bool:
        """Whether this is the whole body, and short."""
        return (
            isinstance(data, bytes)
            and len(data) == self.response_length
            and len(data) <= _ONE_PIECE_BYTES
            and not self._omits_body
        )

    def default_headers(self) -> list[str]:
        """The same as gunicorn's. The date is formatted once a second."""
        connection = "upgrade" if self.upgrade else "close" if self.should_close() else "keep-alive"
        major, minor = self.req.version
        headers = [
            f"HTTP/{major}.{minor} {self.status}\r\n",
            f"Server: {self.version}\r\n",
            f"Date: {_http_date(int(time.time()))}\r\n",
            f"Connection: {connection}\r\n",
        ]
        return [*headers, "Transfer-Encoding: chunked\r\n"] if self.chunked else headers


@lru_cache(maxsize=1)
def _http_date(epoch_seconds: int) -> str:
    date: str = util.http_date(epoch_seconds)
    return date
