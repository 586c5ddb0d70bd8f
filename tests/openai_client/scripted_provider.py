"""A provider that supports chat completions only and sends the chunks of its script."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextmanager
def scripted(*chunks: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    """Yields the provider's base URL, and the request bodies it has received so far."""
    requests: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            is_known = self.path.endswith("/chat/completions")
            self.send_response(200 if is_known else 404)
            self.send_header("Content-Type", "text/event-stream" if is_known else "text/plain")
            self.end_headers()
            if is_known:
                requests.append(json.loads(body))
                frames = [f"data: {json.dumps({'model': 'm', **chunk})}\n\n" for chunk in chunks]
                self.wfile.write("".join([*frames, "data: [DONE]\n\n"]).encode())

        def log_message(self, *args):
            """Does not log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
