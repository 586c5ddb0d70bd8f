"""A provider that answers each call with one given reply, and records what it has received."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

ServerT = TypeVar("ServerT", bound=ThreadingHTTPServer)


@dataclass(frozen=True)
class ReceivedCall:
    path: str
    key: str
    body: Any


class AnsweringServer(ThreadingHTTPServer):
    """``reply``: status, headers and body of the answer to each call; ``reply_to``: of the answer to a path."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: tuple[int, Mapping[str, str], bytes] = (404, {}, b"")
        self.reply_to: Callable[[str], tuple[int, Mapping[str, str], bytes]] = lambda _: self.reply
        self.received: list[ReceivedCall] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: AnsweringServer

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self) -> None:
        self._answer(None)

    def _answer(self, body: Any) -> None:
        key = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.server.received.append(ReceivedCall(self.path, key, body))
        status, headers, content = self.server.reply_to(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Does not log."""


@contextmanager
def run_in_thread(server: ServerT) -> Iterator[ServerT]:
    """Serve for the length of the block."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering_server() -> AbstractContextManager[AnsweringServer]:
    return run_in_thread(AnsweringServer())


def sse(*events: Any) -> bytes:
    """The events as the body of a stream, without its end."""
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def answer_chat(text: str = "hello", **headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """The reply with a complete chat completion."""
    events = sse({"model": "m", "choices": [{"delta": {"content": text}, "finish_reason": "stop"}]})
    return 200, {"Content-Type": "text/event-stream", **headers}, events + b"data: [DONE]\n\n"


def answer_embeddings(**headers: str) -> tuple[int, Mapping[str, str], bytes]:
    """The reply with one vector."""
    body = {"data": [{"index": 0, "embedding": [1.0]}], "model": "m"}
    return 200, {"Content-Type": "application/json", **headers}, json.dumps(body).encode()
