"""gunicorn's gevent worker, hardened: silent clients are closed when places run out, and errors quote no request.

SIGTERM stops it in three steps: it accepts no further connection, open requests may end within the grace period, and
then ``release`` ends what still waits. SIGQUIT, and with it a SIGINT to the master, skips the grace period.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, Final

import gevent
from gunicorn.http import errors, wsgi  # type: ignore[import-untyped]
from gunicorn.util import write_nonblock  # type: ignore[import-untyped]
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from guards.browser_requests import SECURITY_HEADERS
from guards.path_prefix import strip_prefix
from guards.silent_connections import silent_connections
from guards.tracebacks import traceback_location
from gunicorn_ext.response import Response
from gunicorn_ext.settings_once import SettingsOnce

RESERVED_PLACES: Final = 200  # connections beyond worker_connections, for health checks only; at most as many again
_CROWDED_SECONDS: Final = 2.0  # for the request of a connection in a reserved place
_HEALTH: Final = "/health"
_RETRY_AFTER_SECONDS: Final = 5
_FAULTS_OF_THE_APP: Final = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
_STATUS: Final = {
    errors.LimitRequestLine: 414,
    errors.LimitRequestHeaders: 431,
    errors.ExpectationFailed: 417,
    errors.UnsupportedTransferCoding: 501,
    errors.ForbiddenProxyRequest: 403,
}


class Worker(GeventWorker):  # type: ignore[misc]  # untyped
    """One greenlet per connection."""

    @classmethod
    def setup(cls) -> None:
        """Called once gunicorn has loaded this class. gunicorn has no setting for the class of a response."""
        wsgi.Response = Response

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cfg: Any = SettingsOnce(self.cfg)
        self._places: int = self.cfg.worker_connections
        self.worker_connections = self._places + min(RESERVED_PLACES, self._places)
        self._open = 0
        self._idle: dict[Any, gevent.Timeout] = {}  # greenlets that have sent an answer and wait for a further request
        self.path_prefix = ""  # below which a proxy publishes the app, and which it may have left in the path
        self.grace_seconds = 0.0
        self.release: Callable[[], None] = _do_nothing  # ends long polls and streams; may block

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve one connection to its end."""
        greenlet = gevent.getcurrent()
        greenlet.connection = client
        greenlet.has_served = False
        greenlet.is_crowded = self._open >= self._places and not silent_connections.close_oldest()
        self._open += 1
        try:
            super().handle(listener, client, addr)
        finally:
            self._open -= 1

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:
        """The time for the next request's headers. The connection counts as silent meanwhile."""
        greenlet = gevent.getcurrent()
        wait = silent_connections.begin(greenlet.connection)
        timeout = gevent.Timeout(self._header_seconds(greenlet), False)
        if greenlet.has_served:
            self._idle[greenlet] = timeout
        try:
            with timeout:
                yield
        finally:
            silent_connections.end(wait)
            self._idle.pop(greenlet, None)

    def _header_seconds(self, greenlet: Any) -> float:
        if greenlet.has_served and not self.alive:
            return 0  # only a request that has arrived already
        return float(_CROWDED_SECONDS if greenlet.is_crowded else self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request. In a reserved place only health checks are served."""
        greenlet = gevent.getcurrent()
        greenlet.has_served = True
        if greenlet.is_crowded:
            req.force_close()
            if not strip_prefix(req.path, self.path_prefix).startswith(_HEALTH):
                _send_error(sock, HTTPStatus.SERVICE_UNAVAILABLE, "server_busy", "too many connections; retry later")
                raise StopIteration
        super().handle_request(listener_name, req, sock, addr)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM. A service manager may send it to the worker and to the master, so it may arrive twice."""
        if self.alive:
            gevent.get_hub().loop.run_callback(self._close_idle)
            gevent.spawn_later(self.grace_seconds, self.release)
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: Any) -> None:
        """SIGQUIT or SIGINT: the process exits 0.1 s later, whatever has been sent by then."""
        gevent.spawn(self.release)
        super().handle_quit(sig, frame)

    def _close_idle(self) -> None:
        """Close the connections that clients keep for later. Runs in the hub, so no request arrives meanwhile."""
        for greenlet, timeout in list(self._idle.items()):
            greenlet.throw(timeout)

    def handle_error(self, _req: Any, client: Any, _addr: Any, exc: BaseException) -> None:
        """Answer a request that cannot be parsed, or that failed outside of the app. Logs the kind of error only."""
        name = type(exc).__name__
        if isinstance(exc, errors.ParseException) and not isinstance(exc, _FAULTS_OF_THE_APP):
            status = HTTPStatus(_STATUS.get(type(exc), HTTPStatus.BAD_REQUEST))
            self.log.info("request_unparsable error=%s status=%s", name, status.value)
            _send_error(client, status, "malformed_request", "the request is not well-formed HTTP")
        else:
            self.log.error("request_failed error=%s at=%s", name, traceback_location(exc))
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            _send_error(client, status, "internal_error", "internal server error; it has been logged")


def _do_nothing() -> None:
    """There is nothing to release before the app is loaded."""


def _send_error(client: Any, status: HTTPStatus, code: str, message: str) -> None:
    """The same format as the app's errors; the connection closes after it."""
    kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    problem = {
        "type": f"/problems/{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status.value,
        "detail": message,
        "instance": "",
        "error": {"message": message, "type": kind, "param": None, "code": code},
    }
    body = json.dumps(problem).encode()
    headers = {
        "Connection": "close",
        "Content-Type": "application/problem+json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        **SECURITY_HEADERS,
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    try:
        write_nonblock(client, f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + body)
    except OSError:
        return  # the client has gone
