"""Another caller who sends the same bytes and leaves does not cancel someone's call."""

import socket

import pytest

from jobs.storage import keys
from jobs.tenant import Tenant
from tests.support.http import call
from tests.support.offline_model import calls, directive, key
from tests.support.stack import serving
from tests.support.waiting import until

REQUEST = (
    "POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    "Content-Type: application/json\r\nAuthorization: Bearer any\r\n"
)


@pytest.fixture
def stack(redis_client, redis_url, model_url, processes):
    with serving(redis_url, model_url, CHATQUEUE_WEB_WORKERS="2") as stack, stack.worker():
        yield stack


def send(stack, body, retry_count):
    """A connection that has sent the request and waits for its answer."""
    connection = socket.create_connection(("127.0.0.1", int(stack.url.rsplit(":", 1)[1])), timeout=30)
    head = f"{REQUEST}Content-Length: {len(body)}\r\nx-stainless-retry-count: {retry_count}\r\n\r\n"
    connection.sendall(head.encode() + body)
    return connection


def has_resend(redis_client):
    """Whether a resend has found a job."""
    lists = [redis_client.lrange(name, 0, -1) for name in redis_client.scan_iter(keys.resends(Tenant("*"), "*"))]
    return any(entry.split()[1:2] not in ([], [b"0"]) for entries in lists for entry in entries)


def states(stack):
    return [task["status"] for task in call(f"{stack.url}/api/v1/tasks").json["tasks"]]


def body_for(prompt):
    return b'{"model": "m", "input": "%s"}' % prompt.encode()


def test_a_resend_by_a_stranger_who_leaves_cancels_nothing(stack, redis_client):
    """Behind a proxy without keys all users are one caller, and a fixed prompt can be guessed."""
    name = key()
    body = body_for(directive("delay=8", name))
    with send(stack, body, 0) as first:
        until(lambda: calls(stack.model_url, name)["calls"] == 1)
        stranger = send(stack, body, 1)
        until(lambda: has_resend(redis_client))
        stranger.close()
        answer = b"".join(iter(lambda: first.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"completed"' in answer
    assert calls(stack.model_url, name)["calls"] == 1


def test_a_call_that_was_resent_is_cancelled_once_its_client_has_left(stack, redis_client):
    """The first connection has broken, so nobody waits for the job when the second one ends."""
    name = key()
    body = body_for(directive("delay=30", name))
    with send(stack, body, 0):
        until(lambda: calls(stack.model_url, name)["calls"] == 1)
        second = send(stack, body, 1)
        until(lambda: has_resend(redis_client))
    second.close()

    until(lambda: states(stack) == ["cancelled"])
