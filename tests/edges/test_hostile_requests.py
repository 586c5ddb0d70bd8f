"""Requests that no parser accepts: a 4xx in the usual format, the connection closed, and nothing of them in the log."""

import json
import socket
from contextlib import suppress

import pytest

from tests.edges.connections import receive_all
from tests.support.http import call
from tests.support.processes import free_port, running
from tests.support.stack import GUNICORN
from tests.support.waiting import until

POST = "POST /api/v1/chat/async HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
NEXT = "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CHUNKED = f"{POST}Transfer-Encoding: chunked\r\n\r\n"
CANARY = "CANARY-8b1f"
REFUSED: dict[str, tuple[str, int]] = {
    "header line without a colon": ("GET / HTTP/1.1\r\nHost: a\r\nAuthorization Bearer sk-@\r\n\r\n", 400),
    "name of a header with a blank": ("GET / HTTP/1.1\r\nHost: a\r\nX @: b\r\n\r\n", 400),
    "value of Expect": (f"{POST}Expect: @\r\nContent-Length: 2\r\n\r\n{{}}", 417),
    "transfer coding": (f"{POST}Transfer-Encoding: @\r\n\r\n", 501),
    "method": ("@ @ / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "version": ("GET / HTTP/@\r\nHost: a\r\n\r\n", 400),
    "path with an escape": ("GET /\x1b[31m@ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "request line too long": ("GET /" + "@" * 6_000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "header too long": ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "@" * 900 + "\r\n\r\n", 431),
    "text for a chunk size": (f'{CHUNKED}{{"message": "@"}}\r\n0\r\n\r\n', 400),
    "negative chunk size": (f"{CHUNKED}-1\r\n@\r\n0\r\n\r\n{NEXT}", 400),
    "chunk size in Python's notation": (f"{CHUNKED}1_0\r\n@\r\n0\r\n\r\n{NEXT}", 400),
    "chunk size with a prefix": (f"{CHUNKED}0x5\r\n@\r\n0\r\n\r\n{NEXT}", 400),
    "chunk that is too long": (f'{CHUNKED}5\r\n{{"message": "@"}}\r\n0\r\n\r\n', 400),
    "extension without end": (f"{CHUNKED}5;{'@' * 20_000}\r\n", 400),
    "trailer that is not allowed": (f"{CHUNKED}2\r\n{{}}\r\n0\r\nContent-Length: @\r\n\r\n{NEXT}", 400),
}
SILENT = {
    "broken off in its headers": f"{POST}Authorization: Bearer sk-@\r\n",
    "broken off in its body": f'{POST}Content-Length: 500\r\n\r\n{{"message": "@',
    "broken off in its path": "GET /api/v1/tasks/@",
}


@pytest.fixture(scope="module", params=["INFO", "DEBUG"])
def web(request, redis_url, processes):
    port = free_port()
    env = {
        "REDIS_URL": redis_url,
        "CHATQUEUE_WEB_PORT": str(port),
        "CHATQUEUE_WEB_WORKERS": "1",
        "CHATQUEUE_LOG_LEVEL": request.param,
    }
    with running(GUNICORN, ready="Booting worker", env=env) as process:
        until(lambda: call(f"http://127.0.0.1:{port}/health/live").status == 200)
        yield process, port


def send(port, text):
    """What the server answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.replace("@", CANARY).encode("latin-1"))
        with suppress(OSError):  # the server may have closed the connection already
            connection.shutdown(socket.SHUT_WR)
        return receive_all(connection)


@pytest.mark.parametrize("name", REFUSED)
def test_a_malformed_request_is_refused_and_never_quoted(web, name):
    """gunicorn's own messages quote the line; a client that miscounts its body sends the tail of a prompt as a line."""
    process, port = web
    text, status = REFUSED[name]
    received = send(port, text)

    assert received.startswith(f"HTTP/1.1 {status} ".encode()), received[:200]
    head, _, body = received.partition(b"\r\n\r\n")
    assert json.loads(body)["error"]["code"] in ("malformed_request", "malformed_json")
    assert b"nosniff" in head
    assert b"no-store" in head
    assert CANARY not in process.output
    assert "Traceback" not in process.output
    assert "\x1b" not in process.output


def test_the_tail_of_a_prompt_is_not_logged_as_a_request(web):
    """A client that counts characters instead of bytes leaves a rest of its body, which is read as the next request."""
    process, port = web
    body = json.dumps({"message": "\u00fc" * 40 + f" IBAN {CANARY} F32 "}, ensure_ascii=False)
    text = f"{POST}Content-Length: {len(body)}\r\n\r\n{body.encode().decode('latin-1')}"
    received = send(port, text.replace("@", "a"))

    assert received.startswith(b"HTTP/1.1 400 ")
    assert CANARY not in process.output


@pytest.mark.parametrize("name", SILENT)
def test_a_request_that_is_broken_off_is_not_logged(web, name):
    """At DEBUG gunicorn would print what it has received of the headers."""
    process, port = web
    send(port, SILENT[name])
    call(f"http://127.0.0.1:{port}/health/live")

    assert CANARY not in process.output


def test_a_client_cannot_move_its_path(web):
    """By default gunicorn takes SCRIPT_NAME from clients on the same machine, past the path rules of a proxy."""
    process, port = web
    url = f"http://127.0.0.1:{port}"

    assert call(f"{url}/api/v1/models", SCRIPT_NAME="/api").status == 404
    assert call(f"{url}/health/live", SCRIPT_NAME=f"/{CANARY}").status == 200
    assert call(f"{url}/health/live", PATH_INFO="/api/v1/tasks").json == {"status": "ok"}
    assert CANARY not in process.output
