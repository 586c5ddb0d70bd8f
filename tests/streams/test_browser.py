"""A browser's own EventSource: cut in mid-stream, it reconnects by itself and ends with the answer."""

import http.client
import json
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.streams.reading import messages, words
from tests.support.browser import browsing, needs_chromium
from tests.support.offline_model import directive, key

CUT_AFTER_BYTES = 3_000
PAGE = """<!doctype html><meta charset="utf-8"><title>reader</title><script>
let text = "", opened = 0;
const seen = [];
const source = new EventSource("/api/v1/chat/jobs/JOB/events");
const report = () => fetch("/reported", {method: "POST", body: JSON.stringify({text, opened, seen})});
source.onopen = () => { opened += 1; };
for (const type of ["in_progress", "delta", "attempt_incomplete"])
  source.addEventListener(type, (event) => {
    seen.push(event.lastEventId);
    text = type === "in_progress" ? "" : text + (JSON.parse(event.data).text ?? "");
  });
for (const type of ["completed", "incomplete", "failed", "cancelled"])
  source.addEventListener(type, (event) => { seen.push(event.lastEventId); source.close(); report(); });
</script>"""


class Origin(ThreadingHTTPServer):
    """Serves the page and the API under one origin; cuts the first stream."""

    daemon_threads = True

    def __init__(self, api_port, job_id):
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        self.api_port = api_port
        self.page = PAGE.replace("JOB", job_id).encode()
        self.resumed_after = []  # Last-Event-ID of each request for the stream
        self.forwarded = [b""]  # the bytes sent to the browser before the cut
        self.reported = None
        self.has_reported = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin

    def do_GET(self):
        if self.path.endswith("/events"):
            self._proxy()
        else:
            self._answer(200 if self.path == "/" else 404, self.server.page if self.path == "/" else b"")

    def do_POST(self):
        self.server.reported = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(204, b"")
        self.server.has_reported.set()

    def log_message(self, *_):
        pass

    def _proxy(self):
        is_first = not self.server.resumed_after
        self.server.resumed_after.append(self.headers["Last-Event-ID"])
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.api_port, timeout=30)) as api:
            api.request("GET", self.path, headers={k: v for k, v in self.headers.items() if k != "Host"})
            reply = api.getresponse()
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.headers["Content-Type"])
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.close_connection = True
            while chunk := reply.read1(512):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                if is_first:
                    self.server.forwarded[0] += chunk
                    if len(self.server.forwarded[0]) >= CUT_AFTER_BYTES:
                        return  # without the last chunk: the connection breaks
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


DEPLOYMENT = {"webs": 1, "workers": 1}


@pytest.fixture
def origin(deployment):
    job_id = deployment.webs[0].submit(directive("tokens=200 interval=0.02", key()))
    with Origin(deployment.webs[0].port, job_id) as origin:
        thread = threading.Thread(target=origin.serve_forever, args=(0.05,))
        thread.start()
        yield origin
        origin.shutdown()
        thread.join()


@needs_chromium
def test_a_cut_event_source_reconnects_and_ends_with_the_answer(origin, tmp_path):
    """The browser's own reconnect sends the last event id of the first request."""
    with browsing(origin.url, tmp_path) as browser:
        assert origin.has_reported.wait(30), browser.output

    before_the_cut = [message.id for message in messages(origin.forwarded[0]) if message.id]
    assert origin.resumed_after == [None, before_the_cut[-1]]
    assert origin.reported["opened"] == 2
    assert origin.reported["text"] == words(200)
    assert origin.reported["seen"] == [str(number) for number in range(len(origin.reported["seen"]))]
