"""No body costs a web process much more than an honest one of its size, and none holds a place for long."""

import gzip
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from pydantic import BaseModel

from api import create_app
from api.http.view_arguments import BodyReader
from jobs.settings import Settings
from tests.edges.connections import receive_all
from tests.edges.hostile_bodies import HONEST_TEXT, HONEST_TOKENS
from tests.support.http import call
from tests.support.processes import PROJECT_ROOT, free_port, running
from tests.support.stack import GUNICORN
from tests.support.waiting import until

MAX_RATIO = 5
MAX_CPU_RATIO = 2 * MAX_RATIO  # the factor is for other programs on the machine, which slow down some runs
MIN_BYTES = 20 * 1024 * 1024  # growth below this is never too much: freed memory of earlier bodies hides a part of it
HEAD = b"POST /api/v1/chat/async HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.fixture
def serve(redis_client, redis_url, processes):
    """Starts one web process with these settings and arguments; returns its port."""

    @contextmanager
    def start(*arguments: str, **settings: str) -> Iterator[int]:
        port = free_port()
        env = {"REDIS_URL": redis_url, "CHATQUEUE_WEB_PORT": str(port), "CHATQUEUE_WEB_WORKERS": "1", **settings}
        with running([*GUNICORN, *arguments], ready="Booting worker", env=env):
            until(lambda: call(f"http://127.0.0.1:{port}/health/live").status == 200)
            yield port

    return start


def connect(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory can be reset on Linux only")
def test_no_body_costs_more_than_five_honest_ones(redis_client, redis_url):
    """CPU and memory for errors of a million items once stopped a process for seconds and took a gigabyte."""
    command = [sys.executable, "-m", "tests.edges.hostile_bodies", redis_url]
    output = subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=120).stdout
    costs = json.loads(output)
    honest = {name: costs.pop(name) for name in (HONEST_TEXT, HONEST_TOKENS)}

    assert {status for status, _, _ in honest.values()} == {202}
    for name, (status, seconds, size) in costs.items():
        _, honest_seconds, honest_size = honest[HONEST_TOKENS if "tokens" in name else HONEST_TEXT]
        assert status in (400, 422), name
        assert seconds < MAX_CPU_RATIO * honest_seconds, name
        assert size < max(MAX_RATIO * honest_size, MIN_BYTES), name


def request_models(settings: Settings) -> list[type[BaseModel]]:
    """The model of every JSON body, found in the closures of the views."""
    found: list[type[BaseModel]] = []

    def search(value: Any) -> None:
        if isinstance(value, BodyReader):
            found.append(value.model)
        for cell in getattr(value, "__closure__", None) or ():
            search(cell.cell_contents)
        if wrapped := getattr(value, "__wrapped__", None):
            search(wrapped)

    for view in create_app(settings).view_functions.values():
        search(view)
    return found


def test_every_list_of_a_request_is_refused_at_its_first_wrong_item(settings):
    """Found by walking the schemas of all views, so that a new field cannot be forgotten."""
    models = request_models(settings)
    slow = set()

    def walk(schema: Any, path: str) -> None:
        if isinstance(schema, dict):
            if schema.get("type") in ("list", "set", "frozenset", "tuple") and not schema.get("fail_fast"):
                slow.add(path)
            for name, part in schema.items():
                if name not in ("serialization", "metadata"):
                    walk(part, f"{path}.{name}" if name in ("fields", "schema") else path)
        elif isinstance(schema, list | tuple):
            for part in schema:
                walk(part, path)

    for model in models:
        walk(model.__pydantic_core_schema__, model.__name__)
    assert len({model.__name__ for model in models}) >= 6
    assert slow == set()


@pytest.mark.parametrize("framing", [b"Content-Length: 500\r\n\r\n{", b"Transfer-Encoding: chunked\r\n\r\n5\r\n{"])
def test_a_body_that_does_not_arrive_in_time_ends(serve, framing):
    """It gets 408, and its connection is closed: where its next request begins is unknown."""
    with serve(CHATQUEUE_BODY_SECONDS="0.5") as port, connect(port, HEAD + framing) as connection:
        received = receive_all(connection)

    assert received.startswith(b"HTTP/1.1 408 ")
    assert b"body_timeout" in received
    assert received.count(b"HTTP/1.1") == 1


def test_a_body_that_arrives_byte_by_byte_ends_too(serve):
    """The limit is for the whole body, so a drip does not extend it."""
    with (
        serve(CHATQUEUE_BODY_SECONDS="0.5") as port,
        connect(port, HEAD + b"Content-Length: 500\r\n\r\n") as connection,
    ):
        connection.settimeout(0.05)
        received = b""
        for _ in range(200):
            try:
                connection.sendall(b" ")
                received += connection.recv(65_536)
            except TimeoutError:
                continue
            except OSError:
                break
            if received:
                break

    assert received.startswith(b"HTTP/1.1 408 ")


def test_silent_connections_leave_places_for_others(serve):
    """Those that have been silent for longest are closed when places run out: here there are three times as many."""
    with serve("--worker-connections", "20") as port, ExitStack() as stack:
        beginnings = (b"", HEAD, HEAD + b"Content-Length: 500\r\n\r\n{")
        for number in range(60):
            stack.enter_context(connect(port, beginnings[number % 3]))

        assert call(f"http://127.0.0.1:{port}/health/live", timeout=5).status == 200
        assert call(f"http://127.0.0.1:{port}/api/v1/tasks", timeout=5).status == 200


def test_long_polls_on_all_places_leave_health_checks_answered(serve):
    """A connection that waits for an answer is never closed for another one; further ones get 503."""
    with serve("--worker-connections", "10") as port, ThreadPoolExecutor(20) as pool:
        url = f"http://127.0.0.1:{port}"
        job_id = call(f"{url}/api/v1/chat/async", {"message": "a"}).json["job_id"]
        waits = [pool.submit(call, f"{url}/api/v1/tasks/{job_id}?wait=5") for _ in range(20)]
        refused = until(lambda: (reply := call(f"{url}/api/v1/tasks")).status == 503 and reply)

        assert call(f"{url}/health/live").status == 200
        assert refused.json["error"]["code"] == "server_busy"
        assert refused.headers["Retry-After"]
        assert call(f"{url}/health/ready").status == 200
        assert {wait.result().status for wait in waits} == {200, 503}


def test_the_bytes_of_all_large_bodies_are_bounded(serve):
    """A process that holds its share refuses further large bodies; small ones are served."""
    large = {"message": "a", "history": [{"role": "user", "content": "a" * 150_000}]}
    with serve(CHATQUEUE_MAX_BODIES_BYTES="200000") as port:
        url = f"http://127.0.0.1:{port}/api/v1/chat/async"
        with connect(port, HEAD + b"Content-Length: 1000000\r\n\r\n{" + b" " * 250_000):
            refused = until(lambda: (reply := call(url, large)).status == 503 and reply)

            assert refused.json["error"]["code"] == "server_busy"
            assert call(url, {"message": "a"}).status == 202
        until(lambda: call(url, large).status == 202)
        assert [call(url, large).status for _ in range(5)] == [202] * 5


def test_the_bytes_of_compressed_bodies_count_when_they_are_decompressed(serve):
    """Otherwise a few kilobytes, sent often, would hold a gigabyte."""
    turns = [{"role": "user", "content": "a" * 150_000}] * 2
    body = gzip.compress(json.dumps({"message": "a", "history": turns}).encode())
    head = HEAD + b"Connection: close\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with serve(CHATQUEUE_MAX_BODIES_BYTES="200000") as port, connect(port, head + body) as connection:
        refused = receive_all(connection)

        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"server_busy" in refused
        assert call(f"http://127.0.0.1:{port}/api/v1/chat/async", {"message": "a" * 10_000}).status == 202
