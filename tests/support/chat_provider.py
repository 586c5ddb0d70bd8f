"""A provider that supports streamed chat completions only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.answering_server import run_in_thread


@contextmanager
def chat_provider(answer: Callable[[bytes], str]) -> Iterator[str]:
    """Yields its base URL. ``answer`` gets the body of each call, and returns the text of the stream."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = self.path.endswith("/chat/completions")
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", "text/event-stream" if is_known else "text/plain")
            self.end_headers()
            if is_known:
                self.wfile.write(answer(body).encode())

        def log_message(self, *_: Any) -> None:
            """Does not log."""

    with run_in_thread(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}/v1"
